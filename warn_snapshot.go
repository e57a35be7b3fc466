// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// object is JSON.
type object map[string]any

// snapshot writes the routes of an app as JSON again: what Caddy has loaded, it has forgotten. Of a
// handler that is loaded it has what decides about the ways of requests.
func snapshot(app *caddyhttp.App) ([]byte, error) {
	servers := make(object)
	for name, server := range app.Servers {
		named := make(object)
		for name, route := range server.NamedRoutes {
			named[name] = routeAgain(route)
		}
		again := object{"routes": routesAgain(server.Routes), "named_routes": named}
		if server.Errors != nil {
			again["errors"] = object{"routes": routesAgain(server.Errors.Routes)}
		}
		servers[name] = again
	}
	return json.Marshal(object{"servers": servers})
}

func routesAgain(routes caddyhttp.RouteList) []object {
	all := make([]object, 0, len(routes))
	for n := range routes {
		all = append(all, routeAgain(&routes[n]))
	}
	return all
}

func routeAgain(route *caddyhttp.Route) object {
	handlers := make([]any, 0, len(route.HandlersRaw)+len(route.Handlers))
	for _, raw := range route.HandlersRaw {
		handlers = append(handlers, raw)
	}
	for _, handler := range route.Handlers {
		handlers = append(handlers, handlerAgain(handler))
	}
	again := object{"group": route.Group, "terminal": route.Terminal, "handle": handlers}
	if sets := setsAgain(route.MatcherSets, route.MatcherSetsRaw); len(sets) > 0 {
		again["match"] = sets
	}
	return again
}

func setsAgain(loaded caddyhttp.MatcherSets, raw caddyhttp.RawMatcherSets) []object {
	var sets []object
	for _, set := range loaded {
		again := make(object)
		for _, matcher := range set {
			if not, ok := matcher.(*caddyhttp.MatchNot); ok {
				again["not"] = setsAgain(not.MatcherSets, not.MatcherSetsRaw)
				continue
			}
			again[moduleName(matcher)] = jsonOf(matcher)
		}
		sets = append(sets, again)
	}
	for _, set := range raw {
		again := make(object)
		for name, matcher := range set {
			again[name] = matcher
		}
		sets = append(sets, again)
	}
	return sets
}

// jsonOf are those of a module, or nothing if they cannot be written.
func jsonOf(module any) json.RawMessage {
	text, err := json.Marshal(module)
	if err != nil {
		return json.RawMessage("{}")
	}
	return text
}

func handlerAgain(handler caddyhttp.MiddlewareHandler) object {
	again, name := make(object), moduleName(handler)
	switch loaded := handler.(type) {
	case *caddyhttp.Subroute:
		again["routes"] = routesAgain(loaded.Routes)
	case *reverseproxy.Handler:
		again = proxyAgain(loaded)
	default:
		if name == "invoke" || name == "file_server" {
			_ = json.Unmarshal(jsonOf(handler), &again) // what was written cannot fail
		}
	}
	again["handler"] = name
	return again
}

func proxyAgain(proxy *reverseproxy.Handler) object {
	upstreams := make([]object, 0, len(proxy.Upstreams))
	for _, upstream := range proxy.Upstreams {
		upstreams = append(upstreams, object{"dial": upstream.Dial})
	}
	answers := make([]object, 0, len(proxy.HandleResponse))
	for _, answer := range proxy.HandleResponse {
		again := object{"match": answer.Match, "routes": routesAgain(answer.Routes)}
		if answer.StatusCode != "" {
			again["status_code"] = string(answer.StatusCode)
		}
		answers = append(answers, again)
	}
	again := object{"upstreams": upstreams, "handle_response": answers}
	switch dynamic, ok := proxy.DynamicUpstreams.(caddy.Module); {
	case ok:
		source := make(object)
		_ = json.Unmarshal(jsonOf(dynamic), &source) // what was written cannot fail
		source["source"] = moduleName(dynamic)
		again["dynamic_upstreams"] = source
	case len(proxy.DynamicUpstreamsRaw) > 0:
		again["dynamic_upstreams"] = proxy.DynamicUpstreamsRaw
	}
	return again
}
