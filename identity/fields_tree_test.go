// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestSetOfTwoSetsHasTheNamesOfBoth(t *testing.T) {
	own, err := identity.NewNames("X-Team", "X-Own-*")
	if err != nil {
		t.Fatal(err)
	}
	both := own.And(identity.BuiltinNames())
	for name, want := range map[string]bool{
		"X-Team": true, "x_team": true, "X-Own-Field": true, "X-Teams": false, "": false, "Accept": false,
	} {
		if got := both.Match(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	for _, pattern := range identity.BuiltinFields() {
		name := strings.ReplaceAll(pattern, "*", "x")
		if !both.Match(name) || own.Match(name) {
			t.Errorf("%q: %v, and alone %v", name, both.Match(name), own.Match(name))
		}
	}
	if identity.BuiltinNames().Match("X-Team") {
		t.Error("the names of a site are among the built-in ones")
	}
	none, err := identity.NewNames()
	if err != nil || none.Match("X-Team") || !none.And(identity.BuiltinNames()).Match("Impersonate-User") {
		t.Errorf("an empty set: %v", err)
	}
}
