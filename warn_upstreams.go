// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// warnOfRoutes warns of what the routes of all sites show together. The first kube_identity that
// is loaded looks for all.
func (h *Handler) warnOfRoutes(ctx caddy.Context) {
	modules := ctx.Modules()
	n := slices.IndexFunc(modules, func(m caddy.Module) bool { _, ok := m.(*caddyhttp.App); return ok })
	if n < 0 || slices.ContainsFunc(h.at.ways, func(w way) bool { return hasLoaded(w.routes) }) {
		return
	}
	app := modules[n].(*caddyhttp.App)
	for _, server := range app.Servers {
		if serverHasLoaded(server) {
			return
		}
	}
	config, err := snapshot(app)
	if err != nil {
		return
	}
	found, err := routes.Look(config)
	if err != nil && !errors.Is(err, routes.ErrTooMany) {
		return // Caddy says what is wrong when it loads it
	}
	h.warnOfOtherWays(app, found.Ways)
	h.warnOfOrder(found)
}

// opening is an upstream that a server's requests reach without any authentication.
type opening struct{ server, upstream string }

// openWays are those to it, by other sites and past a kube_identity.
type openWays struct{ others, past []*routes.Way }

// warnOfOtherWays warns of requests that are forwarded to an upstream of a kube_identity's without
// any authentication: there a client writes the fields that the upstream believes.
func (h *Handler) warnOfOtherWays(app *caddyhttp.App, ways []routes.Way) {
	claimed := make(map[string]bool)
	for n := range ways {
		for _, upstream := range ways[n].Upstreams {
			claimed[routes.Same(upstream)] = claimed[routes.Same(upstream)] || ways[n].Claims()
		}
	}
	open := make(map[opening]openWays)
	for n := range ways {
		way := &ways[n]
		if !way.Open() || !admits(app.Servers[way.Server], way) || way.OnError && isStripped(way, ways) {
			continue
		}
		for _, upstream := range way.Upstreams {
			if claimed[routes.Same(upstream)] {
				at := opening{way.Server, upstream}
				open[at] = open[at].and(way)
			}
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(open), func(a, b opening) int {
		return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.upstream, b.upstream))
	}) {
		h.warnOfOpening(at.upstream, app.Servers[at.server].Listen, open[at])
	}
}

func (o openWays) and(way *routes.Way) openWays {
	if way.Skips() {
		o.past = append(o.past, way)
	} else {
		o.others = append(o.others, way)
	}
	return o
}

func (h *Handler) warnOfOpening(upstream string, listen []string, open openWays) {
	if len(open.others) > 0 {
		var hosts []string
		for _, way := range open.others {
			hosts = append(hosts, way.Hosts()...)
		}
		h.logger.Warn("a site forwards to the same upstream without kube_identity, so that its clients can claim to be any user: "+
			"guard that site too, or remove it", zap.String("upstream", upstream), zap.Strings("hosts", unique(hosts)), zap.Strings("listen", listen))
	}
	if len(open.past) > 0 {
		var requests []string
		for _, way := range open.past {
			requests = append(requests, way.Requests())
		}
		h.logger.Warn("a matcher leaves out of kube_identity requests that reach its upstream all the same, so that clients can claim to be any user: "+
			"let kube_identity take them too, or give them a handle of their own with another upstream",
			zap.String("upstream", upstream), zap.Strings("requests", unique(requests)), zap.Strings("listen", listen))
	}
}

// unique leaves out what is in a list already.
func unique(all []string) (once []string) {
	for _, one := range all {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}

// isStripped says whether requests that end with an error have passed a kube_identity of the same
// hosts, as far as that shows: it has stripped them before it refused them.
func isStripped(failed *routes.Way, ways []routes.Way) bool {
	return slices.ContainsFunc(ways, func(way routes.Way) bool {
		hosts := way.Hosts()
		return way.Guarded && !way.OnError && way.Server == failed.Server && (len(hosts) == 0 || len(failed.Hosts()) == 0 ||
			slices.ContainsFunc(failed.Hosts(), func(host string) bool { return slices.Contains(hosts, host) }))
	})
}

// admits says whether a server takes the requests from other machines, and of all that ask.
func admits(server *caddyhttp.Server, way *routes.Way) bool {
	return !listensHere(server.Listen) && !slices.ContainsFunc(server.TLSConnPolicies, func(policy *caddytls.ConnectionPolicy) bool {
		return demandsCertificate(policy) && serves(policy, way.Hosts())
	})
}

// demandsCertificate says whether a client cannot connect without one. The modes request and
// verify_if_given only ask.
func demandsCertificate(policy *caddytls.ConnectionPolicy) bool {
	auth := policy.ClientAuthentication
	return auth != nil && auth.Active() && (auth.Mode == "" || strings.HasPrefix(auth.Mode, "require"))
}

// serves says whether a policy is for all of the hosts, as far as it is not loaded yet.
func serves(policy *caddytls.ConnectionPolicy, hosts []string) bool {
	var names []string
	if json.Unmarshal(policy.MatchersRaw["sni"], &names) != nil {
		return true
	}
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, func(host string) bool { return !slices.Contains(names, host) })
}

// warnOfOrder warns of a kube_identity that refuses what another has let through, and of one that
// guards nothing.
func (h *Handler) warnOfOrder(found routes.Survey) {
	var requests []string
	for n := range found.Twice {
		requests = append(requests, found.Twice[n].Requests())
	}
	if len(requests) > 0 {
		h.logger.Warn("requests pass two kube_identity, of which the second answers 500: let their matchers exclude each other, "+
			"or write each in a handle of its own", zap.Strings("requests", unique(requests)))
	}
	if len(found.Idle) > 0 {
		h.logger.Warn("no request comes to this kube_identity, since others answer before it, so that it guards nothing: "+
			"write it before reverse_proxy, respond and file_server", zap.Strings("places", found.Idle))
	}
}
