// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The identity that another handler established is in the replacer. No other part of the
// request counts.
func TestPlaceholderTakesTheIdentityOfAnotherHandler(t *testing.T) {
	answer := object{
		"source": "placeholder", "user": "{http.reverse_proxy.header.x-auth-request-user}",
		"groups": "{http.reverse_proxy.header.X-Auth-Request-Groups}", "groups_separator": ",",
	}
	login := object{"source": "placeholder", "user": "{http.auth.user.id}", "groups": "{http.auth.user.groups}"}
	for name, test := range map[string]struct {
		source object
		set    object
		user   string
		groups []string
		err    error
	}{
		"a login before this handler": {
			login, object{"http.auth.user.id": "alice"}, "alice", nil, nil,
		},
		"a list of groups is taken as it is, with its commas": {
			login, object{
				"http.auth.user.id":     "alice",
				"http.auth.user.groups": identity.Groups{"a,b", "c"},
			}, "alice", []string{"a,b", "c"}, nil,
		},
		"the answer of an authentication server, in any case of its fields' names": {
			answer, object{
				"http.reverse_proxy.status_code":                  202,
				"http.reverse_proxy.header.X-Auth-Request-User":   "alice",
				"http.reverse_proxy.header.X-Auth-Request-Groups": "dev, ops",
			}, "alice", []string{"dev", "ops"}, nil,
		},
		"an answer of 401 that names the user of an expired session": {
			answer, object{
				"http.reverse_proxy.status_code":                401,
				"http.reverse_proxy.header.X-Auth-Request-User": "alice",
			}, "", nil, identity.ErrRejected,
		},
		"an answer without a status": {
			answer, object{"http.reverse_proxy.header.X-Auth-Request-User": "alice"}, "", nil, identity.ErrRejected,
		},
		"no answer":                            {answer, object{}, "", nil, identity.ErrAbsent},
		"an empty name":                        {login, object{"http.auth.user.id": ""}, "", nil, identity.ErrAbsent},
		"a value that is itself a placeholder": {login, object{"http.auth.user.id": "{env.HOME}"}, "{env.HOME}", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Quiet(t)
			h := testhandler.Load(t, object{
				"sources":   []any{test.source},
				"injectors": []any{object{"injector": "front_proxy"}},
			})
			r := testhandler.DashboardRequest()
			for key, value := range test.set {
				testhandler.SetPlaceholder(r, key, value)
			}
			got := h.Ask(t, r)
			if !errors.Is(got.Err, test.err) {
				t.Fatalf("error %v, want %v", got.Err, test.err)
			}
			if user := got.Upstream.Get("X-Remote-User"); user != test.user {
				t.Errorf("the upstream saw user %q, want %q", user, test.user)
			}
			if groups := got.Upstream["X-Remote-Group"]; !reflect.DeepEqual(groups, test.groups) {
				t.Errorf("the upstream saw groups %q, want %q", groups, test.groups)
			}
		})
	}
}
