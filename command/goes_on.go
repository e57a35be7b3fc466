// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// goesOn says whether a request can go on behind a reverse_proxy: if it has routes for good
// answers that write no answer of their own, as forward_auth has.
func goesOn(h *reverseproxy.Handler) bool {
	good := goodAnswer(h, http.StatusOK, make(http.Header))
	return good != nil && !answers(good.Routes)
}

func goodAnswer(h *reverseproxy.Handler, status int, header http.Header) *caddyhttp.ResponseHandler {
	for n := range h.HandleResponse {
		answer := &h.HandleResponse[n]
		if answer.Match != nil && !answer.Match.Match(status, header) {
			continue
		}
		if answer.StatusCode != "" { // it changes the status of the answer, which the client gets
			return nil
		}
		return answer
	}
	return nil
}

// answers says whether one of the routes writes an answer, such as that of the upstream.
func answers(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		return slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				return answers(sub.Routes)
			}
			switch handler.(caddy.Module).CaddyModule().ID.Name() {
			case "copy_response", "static_response", "reverse_proxy", "file_server", "error", "metrics":
				return true
			}
			return false
		})
	})
}

// copied says how to describe the fields of an answer that come to the upstream.
func copied(good *caddyhttp.ResponseHandler) string {
	if good == nil || len(good.Routes) == 0 {
		return ""
	}
	return "; describe the fields of its answer that are copied by --set '{" + answerHeader + "<name>}=…'"
}

// mayGoOn is for a file server that lets a request pass for which it has not a file.
func (k *walk) mayGoOn(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !k.probing {
		k.notes = append(k.notes, "file_server (pass_thru) is not run: it is taken to have no such file, and to let the request pass")
	}
	return next.ServeHTTP(w, r)
}

// subroute follows routes in a route. Those for errors are not run.
func (k *walk) subroute(h *caddyhttp.Subroute, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	err := k.compile(h.Routes, next).ServeHTTP(w, r)
	if err != nil && h.Errors != nil && !k.probing {
		k.notes = append(k.notes, "the error would be taken by the routes for errors of a subroute, and the request may go on from there: check does not follow them")
	}
	return err
}

// invoke follows a named route.
func (k *walk) invoke(h *caddyhttp.Invoke, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.NamedRoutes[h.Name] == nil {
		return fmt.Errorf("there is no route named %q", h.Name)
	}
	const most = 1000 // a route that invokes itself would never end
	if k.invoked++; k.invoked > most {
		return errors.New("named routes invoke each other without an end: the server would crash")
	}
	defer func() { k.invoked-- }()
	return k.route(server.NamedRoutes[h.Name], next).ServeHTTP(w, r)
}
