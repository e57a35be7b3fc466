// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func TestCheckOpenShiftUser(t *testing.T) {
	for _, name := range []string{
		"alice", "alice@example.com", "Alice", "józef", "a b", "a.b", "...", ".a", "a..", "..a", "~alice", "alice~", "~~",
		"a\\b", "a?b#c", "a|b,c", "-", "a+b", "uid=alice,ou=people", "b64", strings.Repeat("a", 300),
	} {
		if err := impersonation.CheckOpenShiftUser(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		".", "..", "~", "/", "a/b", "/a", "a/", "../a", "%", "a%2fb", "%61lice", ":", "a:b", "oidc:alice", "system:admin",
		"kube:admin", "b64:YWxpY2U=", "https://idp.example.com#alice",
	} {
		err := impersonation.CheckOpenShiftUser(name)
		if err == nil {
			t.Errorf("%q passes", name)
			continue
		}
		wantOnly(t, err, identity.ErrForbidden)
	}
}

// The name is quoted and bounded, since it is logged.
func TestCheckOpenShiftUserBoundsItsError(t *testing.T) {
	err := impersonation.CheckOpenShiftUser(strings.Repeat("a", 10_000) + "\n/")
	if err == nil || len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error: %v", err)
	}
}
