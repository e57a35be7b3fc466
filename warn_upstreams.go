// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// warnOfOtherWays warns of a site that forwards to an upstream of a kube_identity's without any
// authentication: there a client writes the fields that the upstream believes. A way for some
// paths, or some addresses, is meant. The first kube_identity that is loaded looks for all.
func (h *Handler) warnOfOtherWays(ctx caddy.Context) {
	modules := ctx.Modules()
	n := slices.IndexFunc(modules, func(m caddy.Module) bool { _, ok := m.(*caddyhttp.App); return ok })
	if n < 0 {
		return
	}
	servers := modules[n].(*caddyhttp.App).Servers
	isLater := slices.ContainsFunc(h.at.ways, func(w way) bool { return hasLoaded(w.routes) })
	guarded, open := make(ways), make(map[string]ways)
	for name, server := range servers {
		if isLater = isLater || hasLoaded(server.Routes); isLater {
			return
		}
		found := survey{make(ways), guarded}
		found.follow(server.Routes, nil, metNone)
		if !listensHere(server.Listen) && !slices.ContainsFunc(server.TLSConnPolicies, asksForCertificate) {
			open[name] = found.open
		}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		for _, upstream := range slices.Sorted(maps.Keys(open[name])) {
			if _, ok := guarded[upstream]; ok {
				h.logger.Warn("a site forwards to the same upstream without kube_identity, so that its clients can claim to be any user: "+
					"guard that site too, or remove it", zap.String("upstream", upstream),
					zap.Strings("hosts", open[name][upstream]), zap.Strings("listen", servers[name].Listen))
			}
		}
	}
}

func asksForCertificate(policy *caddytls.ConnectionPolicy) bool {
	return policy.ClientAuthentication != nil && policy.ClientAuthentication.Active()
}

// ways are the hosts by whose sites an upstream is reached.
type ways map[string][]string

func (w ways) add(dials, hosts []string) {
	for _, dial := range dials {
		w[dial] = append(w[dial], hosts...)
	}
}

// forwarding is the part of a handler's JSON in which upstreams are.
type forwarding struct {
	Name           string                  `json:"handler"`
	Routes         caddyhttp.RouteList     `json:"routes"`
	Upstreams      []struct{ Dial string } `json:"upstreams"`
	HandleResponse []json.RawMessage       `json:"handle_response"`
}

// dials are the addresses; forward_auth asks its own, and forwards nothing there.
func (f *forwarding) dials() (dials []string) {
	if f.Name != "reverse_proxy" || len(f.HandleResponse) > 0 {
		return nil
	}
	for _, upstream := range f.Upstreams {
		dials = append(dials, upstream.Dial)
	}
	return dials
}

// met is what every request has met that comes to a place among the routes.
type met int

const (
	metNone  met = iota
	metOther     // a handler that may authenticate
	metGuard     // a kube_identity
)

// survey has the upstreams that are reached, and by which hosts: without any authentication, by
// routes that only a host's name leads to, and behind a kube_identity.
type survey struct{ open, guarded ways }

// follow returns what requests have met behind the routes.
func (s survey) follow(routes caddyhttp.RouteList, hosts []string, before met) met {
	group, inGroup := "", metNone // what one of a group has met counts behind the group
	for n := range routes {
		route := &routes[n]
		if route.Group != group {
			group, before, inGroup = route.Group, max(before, inGroup), metNone
		}
		names, found := routeHosts(route)
		if !found {
			names = hosts
		}
		into := s
		if narrow(route) {
			into.open = make(ways) // a way for some requests is meant
		}
		behind := into.followRoute(route, names, before)
		switch {
		case route.Terminal:
		case route.Group != "":
			inGroup = max(inGroup, behind)
		default:
			before = max(before, behind) // behind a matcher, perhaps: then this is meant
		}
	}
	return max(before, inGroup)
}

func (s survey) followRoute(route *caddyhttp.Route, hosts []string, before met) met {
	for _, raw := range route.HandlersRaw {
		handler := forwarding{}
		if json.Unmarshal(raw, &handler) != nil {
			return metOther
		}
		before = s.step(handler.Name, handler.dials(), handler.Routes, hosts, before)
	}
	for _, handler := range route.Handlers {
		var dials []string
		var routes caddyhttp.RouteList
		switch loaded := handler.(type) {
		case *reverseproxy.Handler:
			for _, upstream := range loaded.Upstreams {
				if len(loaded.HandleResponse) == 0 {
					dials = append(dials, upstream.Dial)
				}
			}
		case *caddyhttp.Subroute:
			routes = loaded.Routes
		}
		before = s.step(moduleName(handler), dials, routes, hosts, before)
	}
	return before
}

func (s survey) step(name string, dials []string, routes caddyhttp.RouteList, hosts []string, before met) met {
	switch {
	case name == "subroute":
		return s.follow(routes, hosts, before)
	case name == "kube_identity":
		return metGuard
	case name == "reverse_proxy" && len(dials) > 0:
		switch before {
		case metNone:
			s.open.add(dials, hosts)
		case metGuard:
			s.guarded.add(dials, hosts)
		case metOther:
		}
		return before
	case passesOn(name) || slices.Contains([]string{"rewrite", "static_response", "file_server", "error"}, name):
		return before
	}
	return max(before, metOther) // authentication, forward_auth, and what is not known
}

// routeHosts are the names that lead to a route, and whether it has a matcher of them.
func routeHosts(route *caddyhttp.Route) (names []string, found bool) {
	for _, set := range route.MatcherSets {
		for _, matcher := range set {
			if host, ok := matcher.(*caddyhttp.MatchHost); ok {
				names, found = append(names, *host...), true
			}
		}
	}
	for _, set := range route.MatcherSetsRaw {
		var host []string
		if json.Unmarshal(set["host"], &host) == nil {
			names, found = append(names, host...), true
		}
	}
	return names, found
}

// narrow says whether more than the name of the host leads to a route.
func narrow(route *caddyhttp.Route) bool {
	for _, set := range route.MatcherSets {
		for _, matcher := range set {
			if _, ok := matcher.(*caddyhttp.MatchHost); !ok {
				return true
			}
		}
	}
	for _, set := range route.MatcherSetsRaw {
		for name := range set {
			if name != "host" {
				return true
			}
		}
	}
	return false
}
