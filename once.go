// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// checkOnce refuses a request that already has what a handler injected: the field would
// count as the client's own credential, and the upstream would act for the proxy's account.
// So does a request that templates makes for httpInclude out of the one that it has. It
// claims to come from 127.0.0.1, and so from a trusted proxy where that is one.
func (h *Handler) checkOnce(r *http.Request) error {
	if first, ok := r.Context().Value(passedKey{}).(*Handler); ok {
		return fmt.Errorf("%w: %w", identity.ErrInternal, passedTwice(first.title, h.title))
	}
	included := len(r.Header["Caddy-Templates-Include"]) > 0
	if included && r.Context().Value(http.LocalAddrContextKey) == nil { // net/http and quic-go set it
		return fmt.Errorf("%w: httpInclude made this request, not a client", identity.ErrInternal)
	}
	return nil
}

// passedTwice names two handlers by the words of their blocks.
func passedTwice(first, second string) error {
	return fmt.Errorf("one request passes two kube_identity: that with %q, then that with %q", first, second)
}

// configuredHandler is the part of a handler's JSON in which kube_identity can be.
type configuredHandler struct {
	Name           string              `json:"handler"`
	Routes         caddyhttp.RouteList `json:"routes"` // of a subroute
	HandleResponse []struct {
		Routes caddyhttp.RouteList `json:"routes"`
	} `json:"handle_response"`
	SourcesRaw   []json.RawMessage `json:"sources"`
	InjectorsRaw []json.RawMessage `json:"injectors"`
}

// describe returns the words by which an operator finds a handler.
func describe(sources, injectors []json.RawMessage) string {
	var words []string
	for _, raw := range slices.Concat(sources, injectors) {
		var guest struct{ Source, Injector string }
		_ = json.Unmarshal(raw, &guest) // the guest's own loading says what is wrong
		if guest.Injector != "" {
			guest.Injector = "inject " + guest.Injector
		}
		words = append(words, guest.Source+guest.Injector)
	}
	return strings.Join(words, ", ")
}

// checkRoutes refuses a configuration in which every request that could reach one
// kube_identity has passed another one, or has been forwarded already. Routes that have been
// loaded have no raw handlers any more; the first kube_identity that is loaded still sees all
// that come after it, so the others need not look.
func checkRoutes(ctx caddy.Context) error {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return nil
	}
	if serverHasLoaded(server) {
		return nil
	}
	path, lists := serverPath(ctx, server), serverLists(server)
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if _, err := passRoutes(lists[name], path+"."+name, passed{}); err != nil {
			return err
		}
	}
	for name, named := range server.NamedRoutes {
		if _, err := passHandlers(named.HandlersRaw, path+".named_routes."+name+".handle", passed{}); err != nil {
			return err
		}
	}
	_, err := checkWhoami(server.Routes, false)
	return err
}

func serverHasLoaded(server *caddyhttp.Server) bool {
	for _, routes := range serverLists(server) {
		if hasLoaded(routes) {
			return true
		}
	}
	for _, named := range server.NamedRoutes {
		if hasLoaded(caddyhttp.RouteList{*named}) {
			return true
		}
	}
	return false
}

// hasLoaded says whether a kube_identity of these routes is loaded. Without it each of the many
// sites of a configuration would read the routes of all others.
func hasLoaded(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		return slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
			switch loaded := handler.(type) {
			case *Handler:
				return true
			case *caddyhttp.Subroute:
				return hasLoaded(loaded.Routes)
			}
			return false
		})
	})
}

// passed is what every request has passed that comes to a place among the routes.
type passed struct {
	handler string // a kube_identity, by the words of its block
	proxy   bool   // a reverse_proxy, which answers all requests
}

// passRoutes returns what every request has passed behind these routes.
func passRoutes(routes caddyhttp.RouteList, path string, before passed) (passed, error) {
	for n, route := range routes {
		behind, err := passHandlers(route.HandlersRaw, fmt.Sprintf("%s[%d].handle", path, n), before)
		if err != nil {
			return before, err
		}
		behind.proxy = behind.proxy || forwards(route.Handlers)
		if route.Group != "" || len(route.MatcherSets) > 0 || len(route.MatcherSetsRaw) > 0 {
			continue // some requests do not take it
		}
		if before = behind; route.Terminal {
			break
		}
	}
	return before, nil
}

func passHandlers(handlers []json.RawMessage, path string, before passed) (passed, error) {
	for n, raw := range handlers {
		at := fmt.Sprintf("%s[%d]", path, n)
		var handler configuredHandler
		_ = json.Unmarshal(raw, &handler) // Caddy says what is wrong when it loads the handler
		for m, response := range handler.HandleResponse {
			if _, err := passRoutes(response.Routes, fmt.Sprintf("%s.handle_response[%d].routes", at, m), before); err != nil {
				return before, err
			}
		}
		var err error
		switch handler.Name {
		case "kube_identity":
			if before, err = before.and(describe(handler.SourcesRaw, handler.InjectorsRaw)); err != nil {
				err = fmt.Errorf("%s: %w", at, err)
			}
		case "reverse_proxy":
			before.proxy = before.proxy || len(handler.HandleResponse) == 0
		case "subroute":
			before, err = passRoutes(handler.Routes, at+".routes", before)
		}
		if err != nil {
			return before, err
		}
	}
	return before, nil
}

// forwards says whether handlers that have been loaded forward every request.
func forwards(handlers []caddyhttp.MiddlewareHandler) bool {
	return slices.ContainsFunc(handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		switch loaded := handler.(type) {
		case *reverseproxy.Handler:
			return len(loaded.HandleResponse) == 0
		case *caddyhttp.Subroute:
			behind, _ := passRoutes(loaded.Routes, "", passed{}) // it has been loaded without an error
			return behind.proxy
		}
		return false
	})
}

// and adds a kube_identity, unless it is a second one, or guards nothing.
func (p passed) and(handler string) (passed, error) {
	switch {
	case p.handler != "":
		return p, passedTwice(p.handler, handler)
	case p.proxy:
		return p, fmt.Errorf("kube_identity with %q comes after a reverse_proxy that forwards every request: it would guard nothing; write it before reverse_proxy", handler)
	}
	p.handler = handler
	return p, nil
}
