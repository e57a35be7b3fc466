// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// What another handler established is in the replacer; nothing else of the request
// has a say.
func TestPlaceholderTakesWhatAnotherHandlerEstablished(t *testing.T) {
	answer := map[string]any{
		"source": "placeholder", "user": "{http.reverse_proxy.header.x-auth-request-user}",
		"groups": "{http.reverse_proxy.header.X-Auth-Request-Groups}", "groups_separator": ",",
	}
	login := map[string]any{"source": "placeholder", "user": "{http.auth.user.id}", "groups": "{http.auth.user.groups}"}
	for name, test := range map[string]struct {
		source map[string]any
		set    map[string]any
		user   string
		groups []string
		err    error
	}{
		"a login before this handler": {
			login, map[string]any{"http.auth.user.id": "alice"}, "alice", nil, nil,
		},
		"a list of groups is taken as it is, commas and all": {
			login, map[string]any{
				"http.auth.user.id":     "alice",
				"http.auth.user.groups": identity.Groups{"a,b", "c"},
			}, "alice", []string{"a,b", "c"}, nil,
		},
		"the answer of an authentication server, in any case of its fields' names": {
			answer, map[string]any{
				"http.reverse_proxy.status_code":                  202,
				"http.reverse_proxy.header.X-Auth-Request-User":   "alice",
				"http.reverse_proxy.header.X-Auth-Request-Groups": "dev, ops",
			}, "alice", []string{"dev", "ops"}, nil,
		},
		"an answer of 401 that names the user of an expired session": {
			answer, map[string]any{
				"http.reverse_proxy.status_code":                401,
				"http.reverse_proxy.header.X-Auth-Request-User": "alice",
			}, "", nil, identity.ErrRejected,
		},
		"an answer without a status": {
			answer, map[string]any{"http.reverse_proxy.header.X-Auth-Request-User": "alice"}, "", nil, identity.ErrRejected,
		},
		"no answer":                          {answer, map[string]any{}, "", nil, identity.ErrAbsent},
		"an empty name":                      {login, map[string]any{"http.auth.user.id": ""}, "", nil, identity.ErrAbsent},
		"a value that is itself placeholder": {login, map[string]any{"http.auth.user.id": "{env.HOME}"}, "{env.HOME}", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, map[string]any{
				"sources":   []any{test.source},
				"injectors": []any{map[string]any{"injector": "front_proxy"}},
			})
			r := browserRequest()
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			for key, value := range test.set {
				repl.Set(key, value)
			}
			var upstream http.Header
			err := h.ServeHTTP(&discard{http.Header{}}, r, caddyhttp.HandlerFunc(
				func(_ http.ResponseWriter, r *http.Request) error { upstream = r.Header; return nil }))
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if got := upstream.Get("X-Remote-User"); got != test.user {
				t.Errorf("the upstream saw user %q, want %q", got, test.user)
			}
			if got := upstream["X-Remote-Group"]; !reflect.DeepEqual(got, test.groups) {
				t.Errorf("the upstream saw groups %q, want %q", got, test.groups)
			}
		})
	}
}
