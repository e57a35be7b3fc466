// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// A user or a group that an upstream would read as another is refused, and nothing is written.
func TestHeadersRefuseWhatTheUpstreamWouldReadAsAnother(t *testing.T) {
	tests := []struct {
		syntax         impersonation.Syntax
		good, bad      []string // users
		groups, others []string // groups that pass, and that do not
	}{
		{
			syntax: "", good: []string{"jürgen", "a|b", "Eve <admin@example.com>", "a/b"},
			groups: []string{"a b", "finance:contractors", "[x", "ü"},
		},
		{
			syntax: impersonation.SyntaxGrafana,
			good:   []string{"alice", "sso:alice", "alice@example.com", "Alice Smith", "jürgen", "@", "<>", "a,b"},
			bad:    []string{"Eve <admin@example.com>", "<admin@example.com>", "x: admin@example.com;", "admin@example.com (eve)", "\"eve\" <a@b.c>"},
			groups: []string{"dev", "sso:dev", "grüppe", "a]b[", "dev-ops_1", "{x}"},
			others: []string{"dev team", "dev\u00a0team", "dev\u3000team", "a,b", "\"admins\"", "a\"b", "[admins", "[\"admins\"]"},
		},
		{
			syntax: impersonation.SyntaxMimir, good: []string{"anyone / at all"},
			groups: []string{"finance", "A-z_0.9!*'()", "...", strings.Repeat("t", 150)},
			others: []string{"finance:contractors", "sso:finance", "a b", "a|b", "a/b", "ü", ".", "..", "__mimir_cluster", strings.Repeat("t", 151)},
		},
		{
			syntax: impersonation.SyntaxASCII, good: []string{"alice", "a|b \"c\"", "~"}, bad: []string{"jürgen", "日本", "a\u00a0b"},
			groups: []string{"a|b"}, others: []string{"grüppe"},
		},
		{
			syntax: impersonation.SyntaxOpenSearch, good: []string{"alice", "sso:a b"}, bad: []string{"jürgen", "eve|admins"},
			groups: []string{"dev team"}, others: []string{"grüppe", "dev|admins"},
		},
		{syntax: impersonation.SyntaxOpenShift, good: []string{"jürgen", "a b"}, bad: []string{"a/b", "sso:alice", ".."}},
	}
	for _, test := range tests {
		name := "of " + string(test.syntax)
		users := impersonation.Headers{User: "X-User", UserSyntax: test.syntax}
		for _, user := range test.good {
			wantHeader(t, name, &users, &identity.Identity{User: identity.User{Username: user}}, http.Header{"X-User": {user}})
		}
		for _, user := range test.bad {
			wantHeader(t, name, &users, &identity.Identity{User: identity.User{Username: user}}, nil)
		}
		groups := impersonation.Headers{Groups: "X-Groups", GroupsSyntax: test.syntax}
		for _, group := range test.groups {
			wantHeader(t, name, &groups, &identity.Identity{User: identity.User{Username: "u", Groups: []string{"a", group}}}, http.Header{"X-Groups": {"a", group}})
		}
		for _, group := range test.others {
			wantHeader(t, name, &groups, &identity.Identity{User: identity.User{Username: "u", Groups: []string{"a", group}}}, nil)
		}
	}
}

// wantHeader wants what is written for an identity; nil means that it is refused.
func wantHeader(t *testing.T, name string, injector *impersonation.Headers, id *identity.Identity, want http.Header) {
	t.Helper()
	header := make(http.Header)
	err := injector.Inject(t.Context(), id, header)
	if want == nil {
		if err == nil || len(header) > 0 {
			t.Errorf("%s: %+q passes as %q", name, id.User, header)
			return
		}
		wantOnly(t, err, identity.ErrForbidden)
		if len(err.Error()) > 500 {
			t.Errorf("%s: the error is too long: %v", name, err)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(header, want) {
		t.Errorf("%s: %+q: %v, the header is %q", name, id.User, err, header)
	}
}

// Jenkins would show mojibake for a name outside ASCII: a user is not refused for the name that
// is only shown, and is for the names that mean the user.
func TestADisplayNameThatTheUpstreamWouldMisreadIsLeftOut(t *testing.T) {
	h := &impersonation.Headers{
		User: "X-User", UID: "X-Uid", Email: "X-Email", Name: "X-Name", PreferredUsername: "X-Login", UserSyntax: impersonation.SyntaxASCII,
	}
	wantHeader(t, "display name", h, &identity.Identity{User: identity.User{Username: "j", Name: "Jürgen", Email: "j@example.com"}},
		http.Header{"X-User": {"j"}, "X-Email": {"j@example.com"}})
	for _, user := range []identity.User{
		{Username: "j", UID: "ü"}, {Username: "j", Email: "jü@example.com"}, {Username: "j", PreferredUsername: "jürgen"},
	} {
		wantHeader(t, "a name that means the user", h, &identity.Identity{User: user}, nil)
	}
	h.UID, h.Email, h.PreferredUsername = "", "", ""
	wantHeader(t, "what is not sent is not refused", h,
		&identity.Identity{User: identity.User{Username: "j", UID: "ü", Email: "ü", PreferredUsername: "ü"}}, http.Header{"X-User": {"j"}})
}

// Each syntax that can be configured refuses something.
func TestEverySyntaxRefusesSomething(t *testing.T) {
	hostile := []string{"jürgen|a/b", "Eve <admin@example.com>", "dev team"}
	refuses := func(h impersonation.Headers, user func(name string) identity.User) bool {
		return slices.ContainsFunc(hostile, func(name string) bool {
			return h.Inject(t.Context(), &identity.Identity{User: user(name)}, make(http.Header)) != nil
		})
	}
	for _, syntax := range impersonation.UserSyntaxes() {
		if !refuses(impersonation.Headers{User: "X-User", UserSyntax: syntax}, func(name string) identity.User { return identity.User{Username: name} }) {
			t.Errorf("user_syntax %s refuses nothing", syntax)
		}
	}
	for _, syntax := range impersonation.GroupsSyntaxes() {
		if !refuses(impersonation.Headers{Groups: "X-Groups", GroupsSyntax: syntax}, func(name string) identity.User {
			return identity.User{Username: "u", Groups: []string{name}}
		}) {
			t.Errorf("groups_syntax %s refuses nothing", syntax)
		}
	}
}
