// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnOfOtherRoutes warns where a request that asks could miss the handler: by another host, since
// front proxies send the client's, or another path. Caddy answers 200 where nothing is routed, and
// that means yes.
func (h *Handler) warnOfOtherRoutes(ctx caddy.Context) {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server != nil && isMissed(server.Routes) {
		h.logger.Warn("respond in a route with a matcher, or in a site with a host name: Caddy answers 200 to requests that do not match, " +
			"and that means yes; remove the matcher and the host name, or let a last route refuse all others (handle { error 403 })")
	}
}

// answeringHandler is the part of a handler's JSON in which one with the option respond can be.
type answeringHandler struct {
	Name    string              `json:"handler"`
	Respond bool                `json:"respond"`
	Routes  caddyhttp.RouteList `json:"routes"`
}

// isMissed says whether some requests pass by a handler that answers, and come to the end of these
// routes. Handlers that are loaded already are not looked at: they have looked themselves.
func isMissed(routes caddyhttp.RouteList) bool {
	for n := range routes {
		here, inside := findAnswering(routes[n].HandlersRaw)
		if !here && !inside {
			continue
		}
		caught := slices.ContainsFunc(routes[n+1:], func(later caddyhttp.Route) bool { return !hasMatcher(&later) })
		if inside && (routes[n].Terminal || !caught) || hasMatcher(&routes[n]) && !caught {
			return true
		}
	}
	return false
}

// findAnswering looks for a handler that answers: here, or inside of a subroute where some requests
// pass by it.
func findAnswering(handlers []json.RawMessage) (here, missed bool) {
	for _, raw := range handlers {
		var handler answeringHandler
		if json.Unmarshal(raw, &handler) != nil { // its own loading says what is wrong
			continue
		}
		here = here || handler.Name == "kube_identity" && handler.Respond || anyAnswering(handler.Routes)
		missed = missed || isMissed(handler.Routes)
	}
	return here, missed
}

func anyAnswering(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		here, _ := findAnswering(route.HandlersRaw)
		return here
	})
}

func hasMatcher(route *caddyhttp.Route) bool {
	return len(route.MatcherSets) > 0 || len(route.MatcherSetsRaw) > 0
}
