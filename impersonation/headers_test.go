// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func TestHeadersInject(t *testing.T) {
	all := impersonation.Headers{
		User: "X-User", UID: "X-Uid", Email: "X-Email", Name: "X-Name", PreferredUsername: "X-Login",
		Groups: "X-Groups", Extra: "X-Extra-",
	}
	joined := func(separator string) impersonation.Headers {
		return impersonation.Headers{User: "X-User", Groups: "X-Groups", Separator: separator}
	}
	bob := func(groups ...string) *identity.Identity {
		return &identity.Identity{User: identity.User{Username: "bob", Groups: groups}}
	}
	tests := []struct {
		name     string
		injector impersonation.Headers
		id       *identity.Identity
		before   http.Header
		after    http.Header
		err      error
	}{
		{
			name: "everything", injector: all,
			id: &identity.Identity{User: identity.User{
				Username: "alice", UID: "42", Groups: []string{"dev", "ops,x"}, Email: "a@example.com", Name: "Alice A",
				PreferredUsername: "al", Extra: map[string][]string{"scopes": {"a", "b"}, "example.com/t": {""}},
			}},
			before: http.Header{"Accept": {"*/*"}},
			after: http.Header{
				"Accept": {"*/*"}, "X-User": {"alice"}, "X-Uid": {"42"}, "X-Groups": {"dev", "ops,x"},
				"X-Email": {"a@example.com"}, "X-Name": {"Alice A"}, "X-Login": {"al"},
				"X-Extra-Scopes": {"a", "b"}, "X-Extra-Example.com%2ft": {""},
			},
		},
		{name: "a field without a value is not sent", injector: all, id: bob(), after: http.Header{"X-User": {"bob"}}},
		{
			name: "a value without a field is not sent", injector: impersonation.Headers{Email: "X-Email"},
			id: alice(), after: http.Header{"X-Email": {"a@example.com"}},
		},
		{name: "no field has a name", id: alice(), after: http.Header{}},
		{name: "one line a group", injector: joined(""), id: bob("a", "b,c"), after: http.Header{"X-User": {"bob"}, "X-Groups": {"a", "b,c"}}},
		{name: "one line of groups", injector: joined(","), id: bob("a", "b", "c d"), after: http.Header{"X-User": {"bob"}, "X-Groups": {"a,b,c d"}}},
		{name: "one group has no separator", injector: joined("|"), id: bob("a,b"), after: http.Header{"X-User": {"bob"}, "X-Groups": {"a,b"}}},
		{
			// kube-rbac-proxy #330: the upstream would read two groups
			name: "a group that contains the separator, and nothing is written", injector: joined("|"), id: bob("a", "b|admins"),
			before: http.Header{"Accept": {"*/*"}}, after: http.Header{"Accept": {"*/*"}}, err: identity.ErrForbidden,
		},
		{
			name: "a single group that contains the separator", injector: joined(","), id: bob("users,admins"),
			before: http.Header{}, after: http.Header{}, err: identity.ErrForbidden,
		},
		{
			name:     "the separator in a group that is not sent",
			injector: impersonation.Headers{User: "X-User", Separator: ","}, id: bob("a,b"),
			after: http.Header{"X-User": {"bob"}},
		},
		{
			name: "a field that is already there is replaced", injector: all,
			id: &identity.Identity{User: identity.User{
				Username: "alice", UID: "42", Groups: []string{"dev"}, Extra: map[string][]string{"scopes": {"a"}},
			}},
			before: http.Header{
				"X-User": {"admin", "root"}, "X-Uid": {"0"}, "X-Groups": {"admins", "b", "c"}, "X-Extra-Scopes": {"all", "x"},
			},
			after: http.Header{"X-User": {"alice"}, "X-Uid": {"42"}, "X-Groups": {"dev"}, "X-Extra-Scopes": {"a"}},
		},
		{
			name: "the front-proxy family", injector: *impersonation.FrontProxy(),
			id: &identity.Identity{User: identity.User{
				Username: "alice", UID: "42", Groups: []string{"dev", "ops,x"}, Email: "a@example.com", Name: "Alice A",
				Extra: map[string][]string{"example.com/tenant": {"acme"}, "scopes": {"a", "b"}},
			}},
			after: http.Header{
				"X-Remote-User": {"alice"}, "X-Remote-Uid": {"42"}, "X-Remote-Group": {"dev", "ops,x"},
				"X-Remote-Extra-Example.com%2ftenant": {"acme"}, "X-Remote-Extra-Scopes": {"a", "b"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := test.before.Clone()
			if header == nil {
				header = http.Header{}
			}
			err := test.injector.Inject(t.Context(), test.id, header)
			wantOnly(t, err, test.err)
			if !reflect.DeepEqual(header, test.after) {
				t.Errorf("the header is\n%q, want\n%q", header, test.after)
			}
			for field := range header {
				if field != http.CanonicalHeaderKey(field) {
					t.Errorf("%q is not canonical", field) // CVE-2026-33433: it would be beside the client's own
				}
			}
		})
	}
}

// An attribute without values is not sent: in the map it would be an entry that a later
// handler takes for a field that exists.
func TestHeadersSendNoExtraWithoutValues(t *testing.T) {
	id := &identity.Identity{User: identity.User{Username: "alice", Extra: map[string][]string{"a": {}, "b": nil}}}
	header := make(http.Header)
	if err := impersonation.FrontProxy().Inject(t.Context(), id, header); err != nil {
		t.Fatal(err)
	}
	if want := (http.Header{"X-Remote-User": {"alice"}}); !reflect.DeepEqual(header, want) {
		t.Errorf("got %q, want %q", header, want)
	}
}

// Without X-Remote-User the API server falls back to the proxy's own client
// certificate, and the request runs as the proxy.
func TestTheFrontProxyNeverSendsAnIdentityWithoutAUser(t *testing.T) {
	header := http.Header{"Accept": {"*/*"}}
	id := &identity.Identity{User: identity.User{Groups: []string{"system:masters"}}}
	wantOnly(t, impersonation.FrontProxy().Inject(t.Context(), id, header), identity.ErrForbidden)
	if want := (http.Header{"Accept": {"*/*"}}); !reflect.DeepEqual(header, want) {
		t.Errorf("got %q, want %q", header, want)
	}
}

func TestALongGroupWithTheSeparatorIsShownBounded(t *testing.T) {
	injector := impersonation.Headers{Groups: "X-Groups", Separator: ","}
	id := &identity.Identity{User: identity.User{Username: "alice", Groups: []string{strings.Repeat("x,\n", 9999)}}}
	err := injector.Inject(t.Context(), id, http.Header{})
	wantOnly(t, err, identity.ErrForbidden)
	if err != nil && (len(err.Error()) > 400 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%d bytes", len(err.Error()))
	}
}

func TestHeadersAndFrontProxyWrites(t *testing.T) {
	for _, test := range []struct {
		injector *impersonation.Headers
		want     string
	}{
		{&impersonation.Headers{}, ""},
		{&impersonation.Headers{Email: "X-Email", Groups: "X-Groups", Separator: ","}, "X-Email X-Groups"},
		{
			&impersonation.Headers{
				User: "A", UID: "B", Email: "C", Name: "D", PreferredUsername: "E", Groups: "F", Extra: "G-",
			}, "A B C D E F G-*",
		},
		{impersonation.FrontProxy(), "X-Remote-User X-Remote-Uid X-Remote-Group X-Remote-Extra-*"},
	} {
		if got := strings.Join(test.injector.Writes(), " "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
