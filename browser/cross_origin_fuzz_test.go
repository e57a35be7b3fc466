// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// FuzzCrossOrigin opens websockets from any Origin to any Host. A request that passes is from a
// page whose host is the one that the browser was told.
func FuzzCrossOrigin(f *testing.F) {
	for _, pair := range [][2]string{
		{thisOrigin, "dash.example.com"},
		{"http://dash.example.com:80", "dash.example.com"},
		{"null", ""},
		{"https://:443", ":443"},
		{"https://[::1]", "[::1]:443"},
		{"https://a:443:443", "a:443"},
		{"https://A.example", "a.EXAMPLE"},
		{"https://a@b", "a@b"},
		{"https://ſ.example", "s.example"},
		{"https://s.example", "ſ.example"},
		{"http://a%62", "a%62"},
		{"https://a/b", "a/b"},
	} {
		f.Add(pair[0], pair[1])
	}
	testhandler.Quiet(f)
	h := testhandler.Load(f, object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}},
		"injectors":       []any{object{"injector": "front_proxy"}},
	})
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := crossingRequest("websocket", http.Header{"Origin": {origin}, "X-Forwarded-User": {"alice"}})
		r.Host, r.TLS, r.RemoteAddr = host, nil, "192.0.2.1:1"
		if got := h.Ask(t, r); got.Upstream == nil {
			return
		}
		scheme, rest, found := strings.Cut(origin, "://")
		port := map[string]string{"http": ":80", "https": ":443"}[scheme]
		if !found || port == "" || rest == "" {
			t.Fatalf("%q is not an origin, and passes to %q", origin, host)
		}
		if strings.ContainsAny(rest, "@/?#\\ ,%") {
			t.Errorf("%q is more than an origin, and passes to %q", origin, host)
		}
		one, other := strings.TrimSuffix(rest, port), strings.TrimSuffix(host, port)
		if len(one) != len(other) || !strings.EqualFold(one, other) {
			t.Errorf("%q passes to %q", origin, host)
		}
	})
}
