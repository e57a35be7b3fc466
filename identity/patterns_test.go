// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestPatterns(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"alice": true, "team-*": true, "ü*": true, "a b": true, "a *": true, "system:*": true,
		"": false, "*": false, "**": false, "a**": false, "a*b": false, "*a": false,
	} {
		if err := identity.CheckPattern(pattern); (err == nil) != ok {
			t.Errorf("CheckPattern(%q) = %v", pattern, err)
		}
	}
	// an operator writes a list into one value, as a file with a name on each line
	for _, pattern := range []string{" ", " alice", "alice ", "alice\nbob", "alice\n*", " *", "a\x00b", "a\u200bb", "a\xff", "a\u2028b"} {
		if identity.CheckPattern(pattern) == nil {
			t.Errorf("CheckPattern(%q) takes a pattern that no name can match", pattern)
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
