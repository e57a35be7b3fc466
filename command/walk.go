// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// walk follows a request through a server's routes as Caddy would, up to the handler that
// would answer it. Handlers that send something elsewhere are not run.
type walk struct {
	report  *Report   // of the innermost kube_identity
	reports []*Report // of all that the request meets, in order
	sent    http.Header
	answers string   // the handler that would answer
	notes   []string // what was not run
	groups  map[string]bool

	set     map[string]string // what handlers that are not run have found out
	used    map[string]bool   // those of set that a handler of the route could have found out
	before  string            // a handler that is not run, at which it is open whether the request goes on
	ended   int               // the status with which forward_auth ends the request; 0: it does not
	probing bool              // only to see what comes after that
	behind  string            // the handler that would have answered, if a kube_identity did not refuse or probing went on
	invoked int               // how many named routes it is in
	guards  []Explainer       // each kube_identity that the request meets, or would
}

// inside says whether a request has come to a kube_identity.
func (k *walk) inside() bool { return len(k.reports) > 0 }

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
	name := handler.(caddy.Module).CaddyModule().ID.Name()
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		switch h := handler.(type) {
		case *caddyhttp.Subroute:
			return k.subroute(h, w, r, next)
		case *caddyhttp.Invoke:
			return k.invoke(h, w, r, next)
		case Explainer:
			return k.explain(h, w, r, next)
		case *reverseproxy.Handler:
			if goesOn(h) {
				return k.askBefore(h, w, r, next)
			}
		case *fileserver.FileServer:
			if h.PassThru {
				return k.mayGoOn(w, r, next)
			}
		}
		switch name {
		case "rewrite", "headers", "vars", "map", "request_body", "log_append", "tracing", "encode":
			return handler.ServeHTTP(w, r, next)
		case "templates", "push", "intercept", "timeouts", "copy_response_headers": // they change the response
			return next.ServeHTTP(w, r)
		case "static_response", "file_server", "reverse_proxy", "error", "metrics", "kube_identity_ready", "kube_identity_whoami":
		default:
			if !k.inside() || name == "authentication" {
				return k.passBefore(name, w, r, next)
			}
		}
		if k.probing {
			k.behind = name
			return nil
		}
		k.answers, k.sent = name, r.Header
		return nil
	})
}

// explain lets a kube_identity report. If there are several, the innermost decides.
func (k *walk) explain(h Explainer, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	k.guards = append(k.guards, h)
	if k.probing {
		return nil
	}
	n := len(k.reports)
	k.reports = append(k.reports, nil)
	report, err := h.Explain(w, r, next)
	k.reports[n] = report
	if k.report != nil {
		return err
	}
	if k.report = report; !report.Passed {
		k.probing = true
		_ = next.ServeHTTP(httptest.NewRecorder(), r.Clone(r.Context())) // only its handler's name counts
		k.probing = false
	}
	return err
}
