// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestPatterns(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"alice": true, "team-*": true, "ü*": true, " ": true, "a b": true, "system:*": true,
		"": false, "*": false, "**": false, "a**": false, "a*b": false, "*a": false,
	} {
		if err := identity.CheckPattern(pattern); (err == nil) != ok {
			t.Errorf("CheckPattern(%q) = %v", pattern, err)
		}
	}
	patterns := identity.Patterns{"alice", "team-*"}
	for name, want := range map[string]bool{
		"alice": true, "team-": true, "team-a": true, "team-*": true,
		"Alice": false, "alice2": false, "alic": false, "team": false, "Team-a": false, "": false,
	} {
		if patterns.Match(name) != want {
			t.Errorf("Match(%q) is %v", name, !want)
		}
	}
	if identity.Patterns(nil).Match("") {
		t.Error("no patterns match")
	}
}
