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

// warnOfOtherWays warns of a site that forwards to an upstream of this handler's without any
// authentication: there a client writes the fields that the upstream believes. A way for some
// paths, or some addresses, is meant.
func (h *Handler) warnOfOtherWays(ctx caddy.Context) {
	modules := ctx.Modules()
	n := slices.IndexFunc(modules, func(m caddy.Module) bool { _, ok := m.(*caddyhttp.App); return ok })
	if n < 0 || !h.at.whole {
		return
	}
	guarded := h.at.upstreams()
	if len(guarded) == 0 {
		return
	}
	servers := modules[n].(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		if listensHere(server.Listen) || slices.ContainsFunc(server.TLSConnPolicies, asksForCertificate) {
			continue
		}
		open := make(ways)
		open.follow(server.Routes, nil, false)
		for _, upstream := range guarded {
			if hosts, ok := open[upstream]; ok {
				h.logger.Warn("a site forwards to the same upstream without kube_identity, so that its clients can claim to be any user: "+
					"guard that site too, or remove it", zap.String("upstream", upstream), zap.Strings("hosts", hosts), zap.Strings("listen", server.Listen))
			}
		}
	}
}

func asksForCertificate(policy *caddytls.ConnectionPolicy) bool {
	return policy.ClientAuthentication != nil && policy.ClientAuthentication.Active()
}

// upstreams are the addresses to which requests are forwarded behind the handler.
func (p *place) upstreams() []string {
	behind := make(ways)
	for _, way := range slices.Backward(p.ways) {
		behind.all(way.routes[way.route].HandlersRaw[way.handle:], nil)
		if way.routes[way.route].Terminal {
			break // the routes behind it are other sites'
		}
		for _, route := range way.routes[way.route+1:] {
			if group := way.routes[way.route].Group; group == "" || route.Group != group {
				behind.all(route.HandlersRaw, nil)
			}
		}
	}
	return slices.Sorted(maps.Keys(behind))
}

// ways are the hosts by whose sites an upstream is reached.
type ways map[string][]string

// all adds the upstreams of all handlers.
func (w ways) all(handlers []json.RawMessage, hosts []string) {
	for _, raw := range handlers {
		handler := forwarding{}
		if json.Unmarshal(raw, &handler) != nil {
			continue
		}
		w.add(handler.dials(), hosts)
		for _, route := range handler.Routes {
			w.all(route.HandlersRaw, hosts)
		}
	}
}

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

// follow adds the upstreams that requests reach which have not met any handler that could
// authenticate them, in routes that only a host's name leads to. It says whether one was met.
func (w ways) follow(routes caddyhttp.RouteList, hosts []string, met bool) bool {
	group, inGroup := "", false // what one of a group has met counts behind the group
	for n := range routes {
		route := &routes[n]
		if route.Group != group {
			group, met, inGroup = route.Group, met || inGroup, false
		}
		names, found := routeHosts(route)
		if !found {
			names = hosts
		}
		into := w
		if narrow(route) {
			into = make(ways) // a way for some requests is meant
		}
		inside := into.followRoute(route, names, met)
		switch {
		case route.Terminal:
		case route.Group != "":
			inGroup = inGroup || inside
		default:
			met = met || inside // behind a matcher, perhaps: then this is meant
		}
	}
	return met || inGroup
}

func (w ways) followRoute(route *caddyhttp.Route, hosts []string, met bool) bool {
	for _, raw := range route.HandlersRaw {
		handler := forwarding{}
		if json.Unmarshal(raw, &handler) != nil {
			return true
		}
		met = w.step(handler.Name, handler.dials(), handler.Routes, hosts, met)
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
		met = w.step(moduleName(handler), dials, routes, hosts, met)
	}
	return met
}

func (w ways) step(name string, dials []string, routes caddyhttp.RouteList, hosts []string, met bool) bool {
	switch {
	case name == "subroute":
		return w.follow(routes, hosts, met)
	case name == "reverse_proxy" && len(dials) > 0:
		if !met {
			w.add(dials, hosts)
		}
		return met
	case passesOn(name) || name == "rewrite" || name == "static_response" || name == "file_server" || name == "error":
		return met
	}
	return true // kube_identity, authentication, forward_auth, and what is not known
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
