// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// A stream passes for a response of a known length, which may outlive the credential. An
// upstream answers a WebSocket with a Content-Length, against RFC 9110 (section 8.6), and over
// HTTP/2 and 3 reverse_proxy makes 200 of its 101. Or it sends a length over HTTP/2 that is not
// a number: net/http passes it on, and its server drops it.
func TestAStreamWithALengthEndsWithTheCredential(t *testing.T) {
	testhandler.Quiet(t)
	issuer := testissuer.New(t)
	h := testhandler.Load(t, object{
		"sources":   []any{testhandler.OIDC(issuer, object{"clock_skew": "1ms"})},
		"injectors": testhandler.UserInjector(),
	})
	for _, c := range []struct {
		name     string
		describe func(*http.Request)
		length   []string
	}{
		{"a WebSocket over HTTP/2", func(r *http.Request) {
			r.Method, r.ProtoMajor = http.MethodConnect, 2
			r.Header[":protocol"] = []string{"websocket"}
		}, []string{"0"}},
		{"a WebSocket over HTTP/3", func(r *http.Request) {
			r.Method, r.ProtoMajor, r.Proto = http.MethodConnect, 3, "websocket"
		}, []string{"0"}},
		{"a length that is not a number", func(*http.Request) {}, []string{"x"}},
		{"a negative length", func(*http.Request) {}, []string{"-1"}},
		{"two lengths", func(*http.Request) {}, []string{"1", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "http://"+testhandler.SiteHost+"/", http.NoBody)
			c.describe(r)
			r.Header.Set("Authorization", "Bearer "+issuer.Token(t, object{"exp": time.Now().Add(2 * time.Second).Unix()}))
			served := false
			err := h.ServeHTTP(httptest.NewRecorder(), testhandler.Prepared(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				served = true
				w.Header()["Content-Length"] = c.length
				w.WriteHeader(http.StatusOK)
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Second):
					t.Error("the stream outlives the credential")
				}
				return nil
			}))
			if err != nil || !served {
				t.Errorf("served: %v, %v", served, err)
			}
		})
	}
}
