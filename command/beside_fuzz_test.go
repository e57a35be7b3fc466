// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// FuzzPaths: a request that Caddy lets pass by the guard, and to the proxy, is one that takes a way
// which is found. Otherwise an operator would take the site for guarded.
func FuzzPaths(f *testing.F) {
	for _, seed := range [][3]string{
		{"/api/*", "/api*", "/api"},
		{"/api*", "/api/*", "/api/x"},
		{"/API/*", "/api/*", "/api/x"},
		{"*", "/x", "/x"},
		{"/*", "*", "/"},
		{"/a*b", "/a*", "/axb"},
		{"*.js", "/x.js", "/x.js"},
		{"/a/*/b", "/a/x/b", "/a/x/b"},
		{"", "/", "/"},
		{"/%2F*", "/%2f", "/%2F"},
		{`/\*`, "/*", "/*"},
		{"/[ab]*", "/a*", "/a"},
		{"/x//*", "/x/*", "/x//y"},
		{"/x/../*", "/x/*", "/x/../y"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, guarded, proxied, asked string) {
		if strings.ContainsAny(guarded+proxied, "{}") { // a placeholder is of the request
			return
		}
		parsed, err := url.ParseRequestURI(asked)
		if err != nil || !strings.HasPrefix(parsed.Path, "/") {
			return
		}
		matches := func(pattern string) bool {
			m := caddyhttp.MatchPath{pattern}
			if m.Provision(caddy.Context{Context: t.Context()}) != nil {
				return false
			}
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.URL = parsed
			ok, err := m.MatchWithError(withReplacer(r))
			return ok && err == nil
		}
		if matches(guarded) || !matches(proxied) {
			return
		}
		ways, err := routes.Find(guardedBefore(t, guarded, proxied))
		if err != nil {
			t.Fatal(err)
		}
		for n := range ways {
			if !ways[n].Guarded {
				return
			}
		}
		t.Errorf("%q passes a guard of %q, and comes to a proxy of %q, which is not found", asked, guarded, proxied)
	})
}

// guardedBefore is a server that guards one pattern, and forwards another.
func guardedBefore(t *testing.T, guarded, proxied string) []byte {
	t.Helper()
	type object = map[string]any
	route := func(pattern string, handler object) object {
		return object{"match": []object{{"path": []string{pattern}}}, "handle": []object{handler}}
	}
	config, err := json.Marshal(object{"servers": object{"main": object{"routes": []object{
		route(guarded, object{"handler": "kube_identity"}),
		route(proxied, object{"handler": "reverse_proxy", "upstreams": []object{{"dial": "127.0.0.1:1"}}}),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func withReplacer(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}
