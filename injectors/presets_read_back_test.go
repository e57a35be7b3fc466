// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

// pieces are parts of names that some upstream reads as something else.
func pieces() []string {
	return []string{
		"a", "b", "dev", "ops", "finance", "Alice", "42", ",", "|", ":", ";", " ", "\"", "'", "[", "]", "{", "}", "\\", "/", "%", "%2f", "=",
		"<", ">", "@", "(", ")", "*", ".", "..", "-", "_", "!", "~", "é", "ü", "\u00a0", "\u3000", "日本", "__mimir_cluster",
		"eve <admin@example.com>", "admin@example.com", "x: admin@example.com;", "[\"admins\"]", "b64:", "?=", strings.Repeat("t", 151),
	}
}

// wholeNames are names that a user or an operator tried, alone.
func wholeNames() []string {
	return []string{
		"finance:contractors", "sso:alice", "dev team", "[\"admins\"]", "\"admins\"", "ops,admins", "ops|admins", "jürgen", "Eve <admin@example.com>",
		"alice@example.com", "x: admin@example.com;", "(a) admin@example.com", ".", "..", "a\u00a0b", "\u00a0admins",
		"eve|admins", strings.Repeat("t", 150), strings.Repeat("t", 151), "__mimir_cluster", "on-call_(eu)!*'.", "grüppe",
	}
}

// randomName is one of those, or some pieces together.
func randomName(random *rand.Rand) string {
	if random.IntN(4) == 0 {
		return wholeNames()[random.IntN(len(wholeNames()))]
	}
	var name strings.Builder
	for range 1 + random.IntN(4) {
		name.WriteString(pieces()[random.IntN(len(pieces()))])
	}
	return name.String()
}

func randomUser(random *rand.Rand) identity.User {
	name := func() string {
		if random.IntN(2) == 0 {
			return "plain"
		}
		return randomName(random)
	}
	user := identity.User{Username: name(), UID: name(), Name: name(), PreferredUsername: name()}
	if random.IntN(2) == 0 {
		user.Email = name()
	}
	for range random.IntN(4) {
		user.Groups = append(user.Groups, name())
	}
	if random.IntN(2) == 0 {
		user.Extra = map[string][]string{"scopes": {name(), name()}, "example.com/tenant": {name()}, "other": {name()}}
	}
	return user
}

// wantReadBack asks as user: the upstream reads exactly that user, or nothing reaches it.
func wantReadBack(t *testing.T, name string, upstream reader, serve handlerOfPreset, user identity.User) (reached bool) {
	t.Helper()
	got := serve(user, "dXNlcg==", http.Header{})
	if got.Status == http.StatusForbidden && got.Upstream == nil {
		return false
	}
	if got.Status != http.StatusOK {
		t.Errorf("%s: %+v: status %d (%s)", name, user, got.Status, got.Reason())
		return false
	}
	read, want := upstream.reads(got.Upstream), upstream.wants(user)
	if len(read.Groups) == 0 && len(want.Groups) == 0 {
		read.Groups, want.Groups = nil, nil
	}
	if !reflect.DeepEqual(read, want) {
		t.Errorf("%s: the upstream received\n%q, and reads\n%+q, want\n%+q", name, got.Upstream, read, want)
	}
	if display := got.Upstream.Get(upstream.display); upstream.display != "" && display != "" {
		if upstream.latin1 {
			display = latin1(display)
		}
		if display != user.Name {
			t.Errorf("%s: the upstream reads the name %q, want %q", name, display, user.Name)
		}
	}
	return true
}

// A value is written only if the upstream reads back exactly that value: a group
// "finance:contractors" must not be the tenant "finance", nor a user "Eve <admin@example.com>"
// the admin.
func TestEveryUpstreamReadsBackExactlyTheIdentity(t *testing.T) {
	for name := range injectors.Presets() {
		t.Run(name, func(t *testing.T) {
			upstream, ok := readers()[name]
			if !ok {
				t.Fatal("there is no model of this upstream: write one from its source")
			}
			serve := presetHandler(t, presetTests()[name].block)
			reached := 0
			for _, value := range wholeNames() {
				for _, user := range []identity.User{
					{Username: value, Groups: []string{"dev"}},
					{Username: "alice", Groups: []string{value}},
					{Username: "alice", Groups: []string{"dev", value, "ops"}, Email: value, Name: value, PreferredUsername: value, UID: value},
				} {
					if wantReadBack(t, name, upstream, serve, user) {
						reached++
					}
				}
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 2000 {
				if wantReadBack(t, name, upstream, serve, randomUser(random)) {
					reached++
				}
			}
			if reached < 100 {
				t.Errorf("only %d of the users reached the upstream", reached)
			}
		})
	}
}

// The names that users have pass everywhere.
func TestEveryUpstreamGetsUsualNames(t *testing.T) {
	users := []identity.User{
		{Username: "alice", Groups: []string{"dev", "ops-eu", "team_a"}, Email: "alice@example.com", Name: "Alice"},
		{Username: "alice@example.com", Groups: []string{"dev"}, Email: "alice@example.com", Name: "Jürgen Ärmel"},
	}
	for name, upstream := range readers() {
		serve := presetHandler(t, presetTests()[name].block)
		for _, user := range users {
			if !wantReadBack(t, name, upstream, serve, user) {
				t.Errorf("%s: %+v is refused", name, user)
			}
		}
	}
}

// allow_groups is applied first, so a group that an upstream would misread can be left out.
func TestAGroupThatAnUpstreamWouldMisreadIsLeftOutByAllowGroups(t *testing.T) {
	misread := map[string]string{
		"mimir": "finance:contractors", "grafana": "dev team", "opensearch_dashboards": "grüppe", "jenkins": "ops|admins",
		"kube_rbac_proxy": "ops|admins", "headlamp": "ops,admins",
	}
	for name, group := range misread {
		block := presetTests()[name].block
		user := identity.User{Username: "alice", Groups: []string{"dev", group}}
		if got := presetHandler(t, block)(user, "", http.Header{}); got.Status != http.StatusForbidden || got.Upstream != nil {
			t.Errorf("%s: %+v", name, got)
		}
		got := presetHandler(t, block+"\nallow_groups dev")(user, "", http.Header{})
		if got.Status != http.StatusOK || !slices.Equal(readers()[name].reads(got.Upstream).Groups, []string{"dev"}) {
			t.Errorf("%s with allow_groups: %+v", name, got)
		}
	}
}
