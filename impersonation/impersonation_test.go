// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// credential is a fixed answer.
type credential struct {
	authorization string
	err           error
}

func (c credential) Authorization(context.Context) (string, error) { return c.authorization, c.err }

func proxyToken() impersonation.Credential { return credential{authorization: "Bearer proxy"} }

// wantOnly fails unless err wraps want and none of the other sentinels.
func wantOnly(tb testing.TB, err, want error) {
	tb.Helper()
	for _, sentinel := range identity.Sentinels() {
		if isWanted := sentinel == want; errors.Is(err, sentinel) != isWanted { //nolint:errorlint // sentinels themselves
			tb.Errorf("%v wraps %q: %v, want %v", err, sentinel, !isWanted, isWanted)
		}
	}
	if want == nil && err != nil {
		tb.Errorf("refused: %v", err)
	}
}

func alice() *identity.Identity {
	return &identity.Identity{User: identity.User{
		Username: "alice", UID: "42", Groups: []string{"dev", "ops,x"}, Email: "a@example.com", Name: "Alice A",
		PreferredUsername: "al",
		Extra:             map[string][]string{"scopes": {"a", "b"}, "example.com/tenant": {"acme"}, "empty": {}},
	}}
}

func TestImpersonationInject(t *testing.T) {
	tests := []struct {
		name     string
		injector impersonation.Impersonation
		id       *identity.Identity
		before   http.Header
		after    http.Header
		err      error
	}{
		{
			name:     "user and groups, beside the proxy's credential",
			injector: impersonation.Impersonation{Credential: proxyToken()},
			id:       alice(),
			before:   http.Header{"Accept": {"*/*"}},
			after: http.Header{
				"Accept": {"*/*"}, "Authorization": {"Bearer proxy"}, "Impersonate-User": {"alice"},
				"Impersonate-Group": {"dev", "ops,x"},
			},
		},
		{
			name: "without a credential if the transport has one",
			id:   alice(),
			after: http.Header{
				"Impersonate-User": {"alice"}, "Impersonate-Group": {"dev", "ops,x"},
			},
		},
		{
			name:     "no groups, no field",
			injector: impersonation.Impersonation{Credential: proxyToken()},
			id:       &identity.Identity{User: identity.User{Username: "alice", Groups: []string{}}},
			after:    http.Header{"Authorization": {"Bearer proxy"}, "Impersonate-User": {"alice"}},
		},
		{
			name:     "uid and extra only if they are named",
			injector: impersonation.Impersonation{UID: true, Extra: []string{"example.com/tenant", "missing", "empty"}},
			id:       alice(),
			after: http.Header{
				"Impersonate-User": {"alice"}, "Impersonate-Group": {"dev", "ops,x"}, "Impersonate-Uid": {"42"},
				"Impersonate-Extra-Example.com%2ftenant": {"acme"},
			},
		},
		{
			name:     "every value of an extra",
			injector: impersonation.Impersonation{Extra: []string{"scopes"}},
			id:       alice(),
			after: http.Header{
				"Impersonate-User": {"alice"}, "Impersonate-Group": {"dev", "ops,x"}, "Impersonate-Extra-Scopes": {"a", "b"},
			},
		},
		{
			name:     "no uid, no field",
			injector: impersonation.Impersonation{UID: true},
			id:       &identity.Identity{User: identity.User{Username: "alice"}},
			after:    http.Header{"Impersonate-User": {"alice"}},
		},
		{
			// oauth2-proxy #877: if it were added to a client's field, both would count
			name:     "a field that is already there is replaced",
			injector: impersonation.Impersonation{Credential: proxyToken(), UID: true, Extra: []string{"scopes"}},
			id:       alice(),
			before: http.Header{
				"Authorization": {"Bearer client", "Basic x"}, "Impersonate-User": {"admin"}, "Impersonate-Uid": {"0"},
				"Impersonate-Group": {"system:masters", "a", "b"}, "Impersonate-Extra-Scopes": {"all"},
			},
			after: http.Header{
				"Authorization": {"Bearer proxy"}, "Impersonate-User": {"alice"}, "Impersonate-Uid": {"42"},
				"Impersonate-Group": {"dev", "ops,x"}, "Impersonate-Extra-Scopes": {"a", "b"},
			},
		},
		{
			// the API server ignores an empty Impersonate-User: the request would run as the
			// proxy
			name:     "an identity without a user is refused, and nothing written",
			injector: impersonation.Impersonation{Credential: proxyToken()},
			id:       &identity.Identity{User: identity.User{Groups: []string{"system:masters"}}},
			before:   http.Header{"Accept": {"*/*"}},
			after:    http.Header{"Accept": {"*/*"}},
			err:      identity.ErrForbidden,
		},
		{
			name:   "an identity without a user and without a credential",
			id:     &identity.Identity{},
			before: http.Header{}, after: http.Header{},
			err: identity.ErrForbidden,
		},
		{
			name: "a credential that fails: nothing is written",
			injector: impersonation.Impersonation{
				Credential: credential{"Bearer half", fmt.Errorf("%w: no file", identity.ErrUnavailable)}, UID: true,
			},
			id:     alice(),
			before: http.Header{"Accept": {"*/*"}},
			after:  http.Header{"Accept": {"*/*"}},
			err:    identity.ErrUnavailable,
		},
		{
			name:     "an empty credential is refused",
			injector: impersonation.Impersonation{Credential: credential{}},
			id:       alice(),
			before:   http.Header{}, after: http.Header{},
			err: identity.ErrUnavailable,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := test.before.Clone()
			if header == nil {
				header = http.Header{}
			}
			before := alice()
			wantOnly(t, test.injector.Inject(t.Context(), test.id, header), test.err)
			if !reflect.DeepEqual(header, test.after) {
				t.Errorf("the header is\n%q, want\n%q", header, test.after)
			}
			if test.id.Username == "alice" && test.id.UID != "" && !reflect.DeepEqual(test.id, before) {
				t.Error("the identity was changed")
			}
			for _, values := range header { // the written values belong to the request alone
				for i := range values {
					values[i] = "overwritten"
				}
			}
			if test.id.Username == "alice" && test.id.UID != "" && !reflect.DeepEqual(test.id, before) {
				t.Error("header and identity share memory")
			}
		})
	}
}

func TestImpersonationWrites(t *testing.T) {
	with := impersonation.Impersonation{Credential: proxyToken()}
	if got, want := with.Writes(), []string{"Authorization", "Impersonate-*"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	without := impersonation.Impersonation{UID: true, Extra: []string{"scopes"}}
	if got, want := without.Writes(), []string{"Impersonate-*"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// escapedKeys are keys, and the end of the field's name on the wire: client-go's
// headerKeyEscape (transport/round_trippers.go, v0.37.1) writes every byte that a field
// name may not have, and "%", as %XX, and http.Header.Add lowers the hexadecimal digits.
func escapedKeys() map[string]string {
	return map[string]string{
		"scopes":                                     "Scopes",
		"scopes.authorization.openshift.io":          "Scopes.authorization.openshift.io",
		"example.com/tenant":                         "Example.com%2ftenant",
		"example.com/some-tenant":                    "Example.com%2fsome-Tenant",
		"authentication.kubernetes.io/credential-id": "Authentication.kubernetes.io%2fcredential-Id",
		"a%b":                           "A%25b",
		"a%2fb":                         "A%252fb",
		"%":                             "%25",
		"a b":                           "A%20b",
		"a:b":                           "A%3ab",
		"a/b/c":                         "A%2fb%2fc",
		"a_b.c-d~e!f#g$h&i'j*k+l^m`n|o": "A_b.c-D~e!f#g$h&i'j*k+l^m`n|o",
		`(a)<b>@c,d;e\f"g[h]?i={j}`:     "%28a%29%3cb%3e%40c%2cd%3be%5cf%22g%5bh%5d%3fi%3d%7bj%7d",
		"ü":                             "%c3%bc",
		"x-ü-y":                         "X-%c3%bc-Y",
		"é/日本":                          "%c3%a9%2f%e6%97%a5%e6%9c%ac",
		"0-9":                           "0-9",
		"-":                             "-",
	}
}

func TestExtraKeysAreEscapedAsClientGoDoes(t *testing.T) {
	for key, escaped := range escapedKeys() {
		id := &identity.Identity{User: identity.User{Username: "alice", Extra: map[string][]string{key: {"v"}}}, AllowReserved: []string{key}}
		var policy identity.Policy
		if err := policy.Check(id); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		for prefix, injector := range map[string]identity.Injector{
			"Impersonate-Extra-": &impersonation.Impersonation{Extra: []string{key}},
			"X-Remote-Extra-":    impersonation.FrontProxy(),
		} {
			header := make(http.Header)
			if err := injector.Inject(t.Context(), id, header); err != nil {
				t.Fatal(err)
			}
			if got := header[prefix+escaped]; !reflect.DeepEqual(got, []string{"v"}) {
				t.Errorf("%q: %q has no field %s", key, header, prefix+escaped)
			}
			if got := decodeAsAPIServer(t, escaped); got != key {
				t.Errorf("%q: the API server reads %q", key, got)
			}
		}
	}
}

// decodeAsAPIServer does what k8s.io/apiserver does with the rest of a field's name
// (pkg/endpoints/filters/impersonation.go, unescapeExtraKey(strings.ToLower(…))).
func decodeAsAPIServer(tb testing.TB, rest string) string {
	tb.Helper()
	key, err := url.PathUnescape(strings.ToLower(rest))
	if err != nil {
		tb.Errorf("%q: %v", rest, err)
	}
	return key
}
