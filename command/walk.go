// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// walk follows a request through a server's routes as Caddy would, up to the handler that
// would answer it. Handlers that send something elsewhere are not run.
type walk struct {
	report  *Report // of the innermost kube_identity
	sent    http.Header
	answers string   // the handler that would answer
	notes   []string // what was not run
	groups  map[string]bool
}

// compile chains routes as Caddy's RouteList.Compile does.
func (k *walk) compile(routes caddyhttp.RouteList, next caddyhttp.Handler) caddyhttp.Handler {
	for i := len(routes) - 1; i >= 0; i-- {
		next = k.route(&routes[i], next)
	}
	return next
}

func (k *walk) route(route *caddyhttp.Route, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if route.Group != "" && k.groups[route.Group] {
			return next.ServeHTTP(w, r)
		}
		matches, err := route.MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return err
		}
		if !matches {
			return next.ServeHTTP(w, r)
		}
		if route.Group != "" {
			k.groups[route.Group] = true
		}
		chain := next
		if route.Terminal {
			chain = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		}
		for _, handler := range slices.Backward(route.Handlers) {
			chain = k.handler(handler, chain)
		}
		return chain.ServeHTTP(w, r)
	})
}

// handler runs handlers that only read or change a request, and stops at all others.
func (k *walk) handler(handler caddyhttp.MiddlewareHandler, next caddyhttp.Handler) caddyhttp.Handler {
	id := handler.(caddy.Module).CaddyModule().ID
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		switch h := handler.(type) {
		case *caddyhttp.Subroute:
			return k.compile(h.Routes, next).ServeHTTP(w, r)
		case Explainer:
			report, err := h.Explain(w, r, next)
			if k.report == nil { // if there are several, the innermost one's report counts
				k.report = report
			}
			return err
		case *reverseproxy.Handler:
			if len(h.HandleResponse) > 0 { // forward_auth, or the like
				k.notes = append(k.notes, "an authentication server would be asked here (forward_auth): describe with -H what it would add")
				return next.ServeHTTP(w, r)
			}
		}
		switch id.Name() {
		case "rewrite", "headers", "vars", "map", "request_body", "log_append", "tracing", "encode":
			return handler.ServeHTTP(w, r, next)
		}
		k.answers, k.sent = id.Name(), r.Header
		return nil
	})
}
