// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// statusObject is the Status of the Kubernetes API (apimachinery, pkg/apis/meta/v1), with
// which an API server explains a status: Headlamp's page and kubectl read nothing else.
type statusObject struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   struct{} `json:"metadata"`
	Status     string   `json:"status"`
	Message    string   `json:"message"`
	Reason     string   `json:"reason,omitempty"`

	Details *statusDetails `json:"details,omitempty"`

	Code int `json:"code"`
}

// writeStatus answers a client that reads JSON. The object says no more than the status, except
// about impersonation.
func writeStatus(w http.ResponseWriter, res *result, err error) {
	object := statusObject{
		Kind: "Status", APIVersion: "v1", Status: "Failure",
		Message: http.StatusText(res.status), Reason: res.reason, Code: res.status,
	}
	object.explainImpersonation(err)
	content, _ := json.Marshal(object) // it cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(res.status)
	_, _ = w.Write(append(content, '\n')) // an error here is about the client's connection
}

// hasErrorRoute says whether an error route of the operator's answers a refusal: then the
// handler must not. Only the handler knows the subroutes around it, and only the server
// knows which of its sites' error routes fits. They run on the request as it came.
func (h *Handler) hasErrorRoute(r *http.Request, refused error) bool {
	if h.answer != nil {
		return false
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if h.errorRoutes || server == nil || server.Errors == nil {
		return h.errorRoutes
	}
	asked := server.Errors.WithError(r, refused)
	asked.Method, asked.URL = asItCame(r)
	return answers(server.Errors.Routes, asked)
}

// answers says whether one of the routes answers a request. Of a site with a name, all error
// routes are in a subroute behind the name, and none of them may fit.
func answers(routes caddyhttp.RouteList, asked *http.Request) bool {
	for i := range routes {
		if fits, err := routes[i].MatcherSets.AnyMatchWithError(asked); err == nil && !fits {
			continue
		}
		for _, handler := range routes[i].Handlers {
			if subroute, ok := handler.(*caddyhttp.Subroute); !ok || answers(subroute.Routes, asked) {
				return true
			}
		}
	}
	return false
}

// inErrorRoutes says whether a subroute around the handler that is loaded has error routes.
func inErrorRoutes(ctx caddy.Context) bool {
	for _, module := range ctx.Modules() {
		if subroute, ok := module.(*caddyhttp.Subroute); ok && subroute.Errors != nil && len(subroute.Errors.Routes) > 0 {
			return true
		}
	}
	return false
}
