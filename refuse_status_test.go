// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A subroute may have error routes of its own, which the Caddyfile does not write.
func TestTheErrorRouteOfASubrouteAnswersARefusal(t *testing.T) {
	const handler = `{"handler": "kube_identity", "injectors": [{"injector": "headers", "user": "X-User"}], "sources": [
		{"source": "placeholder", "user": "{http.auth.user.id}"}]}`
	for name, test := range map[string]struct{ errors, text string }{
		"with error routes":    {`, "errors": {"routes": [{"handle": [{"handler": "static_response", "body": "sorry"}]}]}`, "sorry"},
		"without error routes": {"", `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := testhandler.Logging(t)
			module, err := ctx.LoadModuleByID("http.handlers.subroute", []byte(`{"routes": [{"handle": [
				{"handler": "subroute", "routes": [{"handle": [`+handler+`]}]}]}]`+test.errors+`}`))
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			if err := module.(*caddyhttp.Subroute).ServeHTTP(w, testhandler.Request("Accept: application/json"), next); err != nil {
				t.Fatal(err)
			}
			if w.Code != http.StatusUnauthorized || w.Body.String() != test.text {
				t.Errorf("status %d, text %q, want %q", w.Code, w.Body, test.text)
			}
		})
	}
}
