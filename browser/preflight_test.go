// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// preflightSent is what a hand-made preflight may have besides.
var preflightSent = http.Header{
	"Cookie": {"kiali-session=alice"}, "Authorization": {"Bearer of-alice"}, "X-Forwarded-User": {"admin"}, "X-User": {"admin"},
	"Impersonate-User": {"admin"}, "Content-Type": {"text/plain"}, "Access-Control-Request-Headers": {"content-type"},
}

// A page of a listed origin cannot send JSON, PUT, PATCH or DELETE unless its preflight
// passes, which has no credential. Any client can write such a request by hand: it brings no
// identity to the upstream.
func TestPreflight(t *testing.T) {
	type test struct {
		name   string
		method string
		header http.Header // besides preflightSent
		status int
	}
	asks := func(origin string, methods ...string) http.Header {
		return http.Header{"Origin": {origin}, "Access-Control-Request-Method": methods}
	}
	upgrade := asks(trustedOrigin, "GET")
	upgrade["Connection"], upgrade["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	tests := []test{
		{"of a listed origin", "OPTIONS", asks(trustedOrigin, "POST"), 200},
		{"of a listed origin, for a method that it makes up", "OPTIONS", asks(trustedOrigin, "X"), 200},
		{"of another origin", "OPTIONS", asks("https://evil.example", "POST"), 403},
		{"of a sandbox", "OPTIONS", asks("null", "POST"), 403},
		{"of a page over plain HTTP", "OPTIONS", asks("http://dash.example.com", "POST"), 403},
		{"of another port of this site", "OPTIONS", asks(thisOrigin+":8443", "POST"), 403},
		{"of two origins", "OPTIONS", http.Header{"Origin": {trustedOrigin, "https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 403},
		{"for two methods", "OPTIONS", asks(trustedOrigin, "POST", "PUT"), 403},
		{"with an upgrade", "OPTIONS", upgrade, 403},
		{"of this site's own page", "OPTIONS", asks(thisOrigin, "POST"), 401},
		{"without a method", "OPTIONS", http.Header{"Origin": {trustedOrigin}}, 401},
		{"without an origin", "OPTIONS", http.Header{"Access-Control-Request-Method": {"POST"}}, 401},
		{"with another method", "POST", asks(trustedOrigin, "POST"), 401},
		{"with a method in another case", "options", asks(trustedOrigin, "POST"), 401},
		{"GET", "GET", asks(trustedOrigin, "POST"), 401},
	}
	run := func(t *testing.T, h *testhandler.Handler, test test, more http.Header) testhandler.Answer {
		t.Helper()
		r := httptest.NewRequest(test.method, "https://dash.example.com/api", http.NoBody)
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		r.Header = make(http.Header)
		for _, header := range []http.Header{test.header, more} {
			maps.Copy(r.Header, header)
		}
		got := h.Ask(t, testhandler.Prepared(r))
		if got.Status != test.status {
			t.Errorf("status %d, want %d (%s)", got.Status, test.status, got.Reason())
		}
		if (got.Upstream != nil) != (test.status == http.StatusOK) {
			t.Errorf("the upstream received %v", got.Upstream)
		}
		return got
	}
	testhandler.Quiet(t)
	load := func(options object) *testhandler.Handler {
		config := object{
			"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7/32"}},
			"sources":         []any{object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}},
			"injectors":       testhandler.UserInjector(),
			"cross_origin":    []string{trustedOrigin},
		}
		maps.Copy(config, options)
		return testhandler.Load(t, config)
	}
	for name, h := range map[string]*testhandler.Handler{
		"usual": load(nil), "with pass_authorization": load(object{"pass_authorization": true}),
	} {
		for _, test := range tests {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				got := run(t, h, test, preflightSent)
				want := test.header.Clone()
				want["Content-Type"], want["Access-Control-Request-Headers"] = []string{"text/plain"}, []string{"content-type"}
				if test.status == http.StatusOK && !reflect.DeepEqual(got.Upstream, want) {
					t.Errorf("the upstream received %v, want %v", got.Upstream, want)
				}
				for _, placeholder := range []string{"http.auth.user.id", "http.auth.user.groups", "http.auth.user.email"} {
					if value := got.Placeholder(placeholder); value != "" {
						t.Errorf("{%s} is %q", placeholder, value)
					}
				}
				if source := got.Placeholder("http.kube_identity.source"); test.status == http.StatusOK && source != "preflight" {
					t.Errorf("the source is %q", source)
				}
			})
		}
		if n := h.Metrics(t, "caddy_kube_identity_requests_total")["ok preflight"]; n != 2 {
			t.Errorf("%v preflights are counted: %v", n, h.Metrics(t, "caddy_kube_identity_requests_total"))
		}
	}
	for name, injector := range map[string]object{
		"no_credential": {"injector": "impersonation", "no_credential": true},
		"front_proxy":   {"injector": "front_proxy"},
	} {
		for _, origins := range [][]string{{trustedOrigin}, {"off"}} {
			t.Run("the upstream would take it for the proxy's own: "+name, func(t *testing.T) {
				h := load(object{"injectors": []any{injector}, "cross_origin": origins})
				run(t, h, test{"", "OPTIONS", asks(trustedOrigin, "POST"), 403}, preflightSent)
			})
		}
	}
	t.Run("without cross_origin", func(t *testing.T) {
		run(t, load(object{"cross_origin": []string{}}), test{"", "OPTIONS", asks(trustedOrigin, "POST"), 403}, nil)
	})
	t.Run("with cross_origin off", func(t *testing.T) {
		run(t, load(object{"cross_origin": []string{"off"}}), test{"", "OPTIONS", asks("https://evil.example", "POST"), 200}, nil)
	})
}
