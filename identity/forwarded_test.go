// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func stripped(pairs ...string) (stripped identity.Stripped) {
	for field, values := range h(pairs...) {
		stripped = append(stripped, identity.StrippedField{Name: field, Values: values})
	}
	return stripped
}

func TestForwardedAuthenticate(t *testing.T) {
	proxy := identity.Forwarded{User: []string{"X-User"}, Groups: []string{"X-Groups"}, Separator: ","}
	lines := identity.Forwarded{User: []string{"X-User"}, Groups: []string{"X-Group"}}
	order := identity.Forwarded{
		User: []string{"X-User", "X-Login"}, Groups: []string{"X-Groups", "X-Teams"}, Separator: ",",
		Email: []string{"X-Email", "X-Mail"},
	}
	full := identity.Forwarded{
		User: []string{"X-User"}, UID: []string{"X-Uid"}, Email: []string{"X-Email"}, Name: []string{"X-Name"},
		PreferredUsername: []string{"X-Login"}, Extra: []string{"X-Extra-"},
		Groups: []string{"X-Group"}, UserPrefix: "proxy:", GroupPrefix: "proxy/",
	}
	piped := identity.Forwarded{User: []string{"X-User"}, Groups: []string{"X-Groups"}, Separator: "|"}
	tests := []struct {
		name     string
		source   identity.Forwarded
		stripped identity.Stripped
		want     identity.User
		err      error
	}{
		{"without fields there is no credential", proxy, nil, identity.User{}, identity.ErrAbsent},
		{"groups without a user are not a credential", proxy, stripped("X-Groups", "a"), identity.User{}, identity.ErrAbsent},
		{"an empty user is not a credential", proxy, stripped("X-User", "", "X-Groups", "a"), identity.User{}, identity.ErrAbsent},
		{"a user is enough", proxy, stripped("X-User", "alice"), identity.User{Username: "alice"}, nil},
		// the proxy that sets X-Forwarded-User may forward a client's X_Forwarded_User unseen
		{"a variant spelling is not believed", proxy, stripped("X_user", "eve", "X-User2", "eve"), identity.User{}, identity.ErrAbsent},
		{"a value is never repaired", proxy, stripped("X-User", " alice\t"), identity.User{Username: " alice\t"}, nil},

		{"the first field with a value wins", order, stripped("X-User", "alice", "X-Login", "eve"), identity.User{Username: "alice"}, nil},
		{"an empty field has no value", order, stripped("X-User", "", "X-Login", "bob"), identity.User{Username: "bob"}, nil},
		{"nor does a missing field", order, stripped("X-Login", "bob"), identity.User{Username: "bob"}, nil},
		{
			"the first field wins for each attribute", order, stripped("X-User", "alice", "X-Mail", "a@b", "X-Teams", "ops", "X-Groups", " , "),
			identity.User{Username: "alice", Email: "a@b", Groups: []string{"ops"}},
			nil,
		},
		{
			"groups are not collected from several fields", order, stripped("X-User", "alice", "X-Groups", "dev", "X-Teams", "ops"),
			identity.User{Username: "alice", Groups: []string{"dev"}},
			nil,
		},

		// what Apache and HAProxy write where they have no value
		{"Apache's (null) is not a user", proxy, stripped("X-User", "(null)", "X-Groups", "a"), identity.User{}, identity.ErrAbsent},
		{"HAProxy's - is not a user", proxy, stripped("X-User", "-", "X-Groups", "a"), identity.User{}, identity.ErrAbsent},
		{"nor with a prefix", full, stripped("X-User", "-"), identity.User{}, identity.ErrAbsent},
		{"the next field is read instead", order, stripped("X-User", "(null)", "X-Login", "bob"), identity.User{Username: "bob"}, nil},
		{"but names that contain them are names", proxy, stripped("X-User", "--"), identity.User{Username: "--"}, nil},
		{
			"they are not an attribute either", full,
			stripped("X-User", "alice", "X-Group", "(null)", "X-Uid", "-", "X-Email", "(null)", "X-Name", "-", "X-Login", "(null)", "X-Extra-A", "(null)", "X-Extra-B", "-"),
			identity.User{Username: "proxy:alice", Extra: map[string][]string{}},
			nil,
		},
		{
			"nor a group, as a whole line", order, stripped("X-User", "alice", "X-Groups", "(null)", "X-Teams", "-", "X-Teams", "ops"),
			identity.User{Username: "alice", Groups: []string{"ops"}},
			nil,
		},
		{
			"but inside a list, which the proxy wrote, they are names", proxy, stripped("X-User", "alice", "X-Groups", "a,-,(null)"),
			identity.User{Username: "alice", Groups: []string{"a", "-", "(null)"}},
			nil,
		},

		// the API server adds these groups by itself, and a front proxy passes them on
		{
			"groups of every authenticated user are left out", lines,
			stripped("X-User", "alice", "X-Group", "system:authenticated", "X-Group", "dev", "X-Group", "system:authenticated:oauth"),
			identity.User{Username: "alice", Groups: []string{"dev"}},
			nil,
		},
		{
			"no other reserved group is, nor another spelling", lines,
			stripped("X-User", "alice", "X-Group", "System:authenticated", "X-Group", "system:unauthenticated", "X-Group", "system:authenticated:x"),
			identity.User{Username: "alice", Groups: []string{"System:authenticated", "system:unauthenticated", "system:authenticated:x"}},
			nil,
		},

		// one of the two lines is the client's
		{"two lines of a user are refused", proxy, stripped("X-User", "alice", "X-User", "eve"), identity.User{}, identity.ErrMalformed},
		{"even if they are equal", proxy, stripped("X-User", "alice", "X-User", "alice"), identity.User{}, identity.ErrMalformed},
		{"even if one is empty", proxy, stripped("X-User", "alice", "X-User", ""), identity.User{}, identity.ErrMalformed},
		{
			"even in a field whose value is not needed", order,
			stripped("X-User", "alice", "X-Login", "a", "X-Login", "b"),
			identity.User{},
			identity.ErrMalformed,
		},
		{"two lines of an email are refused", full, stripped("X-User", "alice", "X-Email", "a", "X-Email", "b"), identity.User{}, identity.ErrMalformed},
		{"even without a user", full, stripped("X-Uid", "1", "X-Uid", "2"), identity.User{}, identity.ErrMalformed},

		{"each line is one group", lines, stripped("X-User", "alice", "X-Group", "b", "X-Group", "a"), identity.User{Username: "alice", Groups: []string{"b", "a"}}, nil},
		{"a line is not split without a separator", lines, stripped("X-User", "alice", "X-Group", "a, b", "X-Group", ""), identity.User{Username: "alice", Groups: []string{"a, b"}}, nil},
		{
			"a separator splits several lines", proxy,
			stripped("X-User", "alice", "X-Groups", "a,b , c", "X-Groups", ",d\t,,", "X-Groups", ""),
			identity.User{Username: "alice", Groups: []string{"a", "b", "c", "d"}},
			nil,
		},
		{"the separator may be another character", piped, stripped("X-User", "alice", "X-Groups", "a,b|c||d e"), identity.User{Username: "alice", Groups: []string{"a,b", "c", "d e"}}, nil},
		{"the same group twice stays", proxy, stripped("X-User", "alice", "X-Groups", "a,a"), identity.User{Username: "alice", Groups: []string{"a", "a"}}, nil},

		{
			"all attributes are read, and prefixes added", full,
			stripped("X-User", "alice", "X-Group", "dev", "X-Uid", "1", "X-Email", "a@b", "X-Name", "Alice A", "X-Login", "al",
				"X-Extra-Scopes", "x", "X-Extra-Scopes", "", "X-Extra-Example.com%2ftenant", "acme"),
			identity.User{
				Username: "proxy:alice", Groups: []string{"proxy/dev"}, UID: "1", Email: "a@b", Name: "Alice A",
				PreferredUsername: "al", Extra: map[string][]string{"scopes": {"x", ""}, "example.com/tenant": {"acme"}},
			},
			nil,
		},
		{"a prefix alone is not a user", full, stripped("X-User", ""), identity.User{}, identity.ErrAbsent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, err := test.source.Authenticate(t.Context(), &identity.Request{Stripped: test.stripped})
			wantOnly(t, err, test.err)
			if err != nil {
				if id != nil {
					t.Error("an identity is returned with the error")
				}
				return
			}
			if len(id.Groups) == 0 {
				id.Groups = nil
			}
			if !reflect.DeepEqual(id.User, test.want) {
				t.Errorf("got\n%+v, want\n%+v", id.User, test.want)
			}
		})
	}
}

func TestForwardedExtra(t *testing.T) {
	source := identity.Forwarded{User: []string{"X-User"}, Extra: []string{"X-Extra-", "X-More-"}}
	for _, test := range []struct {
		name   string
		fields []string
		want   map[string][]string
		err    error
	}{
		{"extra may be missing", nil, nil, nil},
		{"a key is in lower case", []string{"X-Extra-Scopes", "1"}, map[string][]string{"scopes": {"1"}}, nil},
		{"an escape may be in any case", []string{"X-Extra-A%2fb%2Fc", "1"}, map[string][]string{"a/b/c": {"1"}}, nil},
		{"an escaped percent is decoded", []string{"X-Extra-A%25b", "1"}, map[string][]string{"a%b": {"1"}}, nil},
		{"a plus is not a blank", []string{"X-Extra-A+b", "1"}, map[string][]string{"a+b": {"1"}}, nil},
		{"two prefixes are read", []string{"X-Extra-A", "1", "X-More-B", "2"}, map[string][]string{"a": {"1"}, "b": {"2"}}, nil},
		{"an empty key is refused", []string{"X-Extra-", "1"}, nil, identity.ErrMalformed},
		{"half an escape is refused", []string{"X-Extra-A%2", "1"}, nil, identity.ErrMalformed},
		{"an invalid escape is refused", []string{"X-Extra-%zz", "1"}, nil, identity.ErrMalformed},
		// the API server lower-cases first, so it would read another key
		{"an escaped upper-case letter is refused", []string{"X-Extra-%41dmin", "1"}, nil, identity.ErrMalformed},
		{"two spellings of a key are refused", []string{"X-Extra-A%2fb", "1", "X-Extra-A/b", "2"}, nil, identity.ErrMalformed},
		{"the same key under two prefixes is refused", []string{"X-Extra-A", "1", "X-More-A", "2"}, nil, identity.ErrMalformed},
		{"a line that says nothing is left out", []string{"X-Extra-A", "-", "X-Extra-A", "1", "X-Extra-B", "(null)"}, map[string][]string{"a": {"1"}}, nil},
		{"but not if another spelling of the key has a value", []string{"X-Extra-A%2fb", "-", "X-Extra-A/b", "2"}, nil, identity.ErrMalformed},
		{"a field without the prefix is ignored", []string{"X-Extr-A", "1"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := &identity.Request{Stripped: stripped(append(test.fields, "X-User", "alice")...)}
			id, err := source.Authenticate(t.Context(), request)
			wantOnly(t, err, test.err)
			if err == nil && !reflect.DeepEqual(id.Extra, test.want) {
				t.Errorf("got %q, want %q", id.Extra, test.want)
			}
		})
	}
}

// Fields that a source reads are stripped off every request, and believed only if a trusted
// proxy sent them.
func TestForwardedReads(t *testing.T) {
	source := identity.Forwarded{
		User: []string{"X-User", "X-Login"}, Groups: []string{"X-Groups"}, UID: []string{"X-Uid"}, Email: []string{"X-Email"},
		Name: []string{"X-Name"}, PreferredUsername: []string{"X-Preferred"}, Extra: []string{"X-Extra-"},
	}
	want := identity.Fields{
		Names: strings.Fields("X-User X-Login X-Groups X-Uid X-Email X-Name X-Preferred X-Extra-*"), Proxy: true,
	}
	if got := source.Reads(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSplitGroupsMakesANewSlice(t *testing.T) {
	lines := []string{"a", "b"}
	groups := identity.SplitGroups(lines, "")
	groups[0] = "changed"
	if lines[0] != "a" {
		t.Error("the lines of the request were changed")
	}
}

func BenchmarkForwarded(b *testing.B) {
	source := identity.Forwarded{
		User: []string{"X-Forwarded-User"}, Groups: []string{"X-Forwarded-Groups"}, Separator: ",",
		Email: []string{"X-Forwarded-Email"}, PreferredUsername: []string{"X-Forwarded-Preferred-Username"},
	}
	rules := identity.StripRules{Fields: names(b, identity.BuiltinFields()...)}
	request := &identity.Request{Stripped: rules.Strip(browserHeader(), "", nil)}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := source.Authenticate(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}
