// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A trace says 200 for a refused request: the error route answers after the span has ended.
func TestASpanSaysWhoAndWhyNot(t *testing.T) {
	testhandler.Quiet(t)
	load := func(injector testhandler.Object) *testhandler.Handler {
		return testhandler.Load(t, testhandler.Object{
			"sources":         []testhandler.Object{{"source": "forwarded", "user": []string{"X-User"}}},
			"trusted_proxies": testhandler.Object{"source": "static", "ranges": []string{"192.0.2.1"}},
			"deny_users":      []string{"mallory"},
			"injectors":       []testhandler.Object{injector},
		})
	}
	good := load(testhandler.Object{"injector": "headers", "user": "X-User"})
	without := load(testhandler.Object{"injector": "impersonation", "token_file": t.TempDir() + "/none"})
	for name, test := range map[string]struct {
		h      *testhandler.Handler
		user   string
		want   map[string]string
		status trace.Status
	}{
		"a user whom the policy refuses": {good, "mallory", map[string]string{
			"kube_identity.source": "forwarded", "user.id": "mallory", "kube_identity.status": "403", "error.type": "forbidden",
			"kube_identity.reason": `forbidden: user "mallory" is denied`,
		}, trace.Status{}},
		"a client that is not known": {good, "", map[string]string{
			"kube_identity.source": "none", "kube_identity.status": "401", "error.type": "absent", "kube_identity.reason": "no credential",
		}, trace.Status{}},
		"a user": {good, "alice", map[string]string{"kube_identity.source": "forwarded", "user.id": "alice"}, trace.Status{}},
		"a proxy without a token": {without, "alice", map[string]string{
			"kube_identity.source": "forwarded", "kube_identity.status": "503", "error.type": "unavailable", "kube_identity.reason": "",
		}, trace.Status{Code: codes.Error, Description: "unavailable"}},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			ctx, span := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "request")
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
			if test.user != "" {
				r.Header.Set("X-User", test.user)
			}
			_ = test.h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
			span.End()
			got := make(map[string]string)
			for _, attribute := range recorder.Ended()[0].Attributes() {
				got[string(attribute.Key)] = attribute.Value.String()
			}
			if _, ok := got["kube_identity.reason"]; ok && test.want["kube_identity.reason"] == "" {
				got["kube_identity.reason"] = "" // it has the path of the file
			}
			if !maps.Equal(got, test.want) || recorder.Ended()[0].Status() != test.status {
				t.Errorf("the span has %v, %v; want %v, %v", got, recorder.Ended()[0].Status(), test.want, test.status)
			}
		})
	}
}
