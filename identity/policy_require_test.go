// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestPolicyRequiresUsersAndGroups(t *testing.T) {
	const (
		wrongUser  = "does not match require_users"
		wrongGroup = "none of the groups matches require_groups"
	)
	users := func(patterns ...string) identity.Policy { return identity.Policy{RequireUsers: patterns} }
	groups := func(patterns ...string) identity.Policy { return identity.Policy{RequireGroups: patterns} }
	both := identity.Policy{RequireUsers: identity.Patterns{"alice", "sso:*"}, RequireGroups: identity.Patterns{"ops", "sre-*"}}
	tests := []struct {
		name   string
		policy identity.Policy
		id     *identity.Identity
		reason string
	}{
		{"a required user passes", users("bob", "alice"), user("alice"), ""},
		{"another user is refused, and named", users("bob", "alice"), user("mallory"), `user "mallory" ` + wrongUser},
		{"users are compared with case", users("alice"), user("Alice"), wrongUser},
		{"an exact name is not a prefix", users("alice"), user("alice2"), wrongUser},
		{"nor a suffix", users("alice"), user("malice"), wrongUser},
		{"a prefix matches what it begins", users("sso:*"), user("sso:alice"), ""},
		{"a prefix matches itself", users("sso:*"), user("sso:"), ""},
		{"a prefix does not match in the middle", users("sso:*"), user("x-sso:alice"), wrongUser},
		{"a name that Unicode folds to a required one is another", users("kim"), user("\u212aim"), wrongUser},
		{"a name of another normal form is another", users("jos\u00e9"), user("jose\u0301"), wrongUser},
		{"a group of the user's name does not help", users("alice"), user("mallory", "alice"), wrongUser},

		{"one of the groups is enough", groups("ops"), user("alice", "dev", "ops"), ""},
		{"one of the patterns is enough", groups("ops", "sre-*"), user("alice", "dev", "sre-eu"), ""},
		{"none of the groups is refused", groups("ops"), user("alice", "dev", "opsx", "Ops", "xops"), wrongGroup},
		{"a user without groups is refused", groups("ops"), user("alice"), wrongGroup},
		{"groups that are joined are another group", groups("ops"), user("alice", "dev,ops"), wrongGroup},
		{"and so are groups with a separator at their end", groups("ops"), user("alice", "ops,"), wrongGroup},
		{"the user's name does not help", groups("ops"), user("ops"), wrongGroup},
		{"a literal asterisk is a name of its own", groups("ops"), user("alice", "*", "ops*"), wrongGroup},

		{"both hold", both, user("alice", "sre-eu"), ""},
		{"only the user", both, user("alice", "dev"), wrongGroup},
		{"only the group", both, user("mallory", "ops"), wrongUser},

		{"deny_users refuses a required user", identity.Policy{RequireUsers: identity.Patterns{"a*"}, DenyUsers: identity.Patterns{"alice"}}, user("alice"), "is denied"},
		{"deny_groups refuses a required group", identity.Policy{RequireGroups: identity.Patterns{"ops"}, DenyGroups: identity.Patterns{"bad"}}, user("alice", "ops", "bad"), "is denied"},
		{"a required name that is reserved is refused", groups("system:masters"), user("alice", "system:masters"), "is reserved"},
		{
			"but not one that the operator allows",
			identity.Policy{RequireGroups: identity.Patterns{"system:masters"}, AllowReserved: []string{"system:masters"}},
			user("alice", "system:masters"), "",
		},
		{"an empty user is refused", users("*x"), user(""), "no user"},
		{
			"a name that reads differently is refused before",
			groups("ops"), user("alice", "ops", " ops"), "begins or ends with a blank",
		},
		{
			"what the source allows is judged, too",
			groups("ops"), &identity.Identity{
				User:          identity.User{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}},
				AllowReserved: []string{"system:anonymous", "system:unauthenticated"},
			}, wrongGroup,
		},
		{
			"max_groups counts the groups that go on",
			identity.Policy{RequireGroups: identity.Patterns{"ops"}, AllowGroups: identity.Patterns{"dev"}, MaxGroups: 1},
			user("alice", "ops", "sre", "dev"), "",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkPolicy(t, test.policy, test.id, test.reason) })
	}
}

// The upstream need not know by which group a user came in.
func TestPolicyRequiresGroupsThatDoNotGoOn(t *testing.T) {
	p := identity.Policy{RequireGroups: identity.Patterns{"ops"}, AllowGroups: identity.Patterns{"dev"}}
	id := user("alice", "ops", "dev")
	checkPolicy(t, p, id, "")
	if want := []string{"dev"}; !slices.Equal(id.Groups, want) {
		t.Errorf("the groups are %q, want %q", id.Groups, want)
	}
	refused := user("alice", "dev", "sre")
	checkPolicy(t, p, refused, "require_groups")
	if want := []string{"dev", "sre"}; !slices.Equal(refused.Groups, want) {
		t.Errorf("the log would have the groups %q, want %q", refused.Groups, want)
	}
}

func TestPatternsCoverAPattern(t *testing.T) {
	for _, test := range []struct {
		name     string
		patterns identity.Patterns
		pattern  string
		want     bool
	}{
		{"nothing covers", nil, "ops", false},
		{"the same name", identity.Patterns{"dev", "ops"}, "ops", true},
		{"another name", identity.Patterns{"dev"}, "ops", false},
		{"the same prefix", identity.Patterns{"team-*"}, "team-*", true},
		{"a shorter prefix", identity.Patterns{"te*"}, "team-*", true},
		{"a longer prefix", identity.Patterns{"team-a*"}, "team-*", false},
		{"a name below the prefix", identity.Patterns{"te*"}, "team", true},
		{"a name that is the prefix", identity.Patterns{"team*"}, "team", true},
		{"a name does not cover a prefix", identity.Patterns{"team"}, "team*", false},
		{"several that cover it only together", identity.Patterns{"team", "tea*m"}, "team*", false},
	} {
		if got := test.patterns.Covers(test.pattern); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestPolicyKnowsPatternsOfReservedNamesOnly(t *testing.T) {
	p := identity.Policy{AllowReserved: []string{"system:masters", "kube:admin"}}
	for pattern, want := range map[string]bool{
		"ops": false, "sys*": false, "system": false, "system*": false, "my:system:*": false, "clusterAdmin*": false,
		"system:*": false, "system:masters": false, "system:mas*": false, "kube:admin": false, "kube:admin*": false, // one is allowed
		"system:nodes": true, "system:node*": true, "System:masters": true, "SYSTEM:*": true, "kubeadm:*": true, "eks:x": true, "clusterAdmin": true,
	} {
		if got := p.OnlyReserved(pattern); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}
