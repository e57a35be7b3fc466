// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// The users of the demonstration issuer and their passwords are known to all, so it is in this
// binary only: not in the package that others build into their Caddy, whatever that imports.
func TestTheDemonstrationIssuerIsInThisBinaryOnly(t *testing.T) {
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/caddy-kube-identity/caddy-kube-identity").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(listed))
	if !slices.Contains(packages, "github.com/caddy-kube-identity/caddy-kube-identity/identity") {
		t.Fatalf("go list has listed only %d packages", len(packages))
	}
	for _, one := range packages {
		if strings.HasPrefix(one, "github.com/caddy-kube-identity/caddy-kube-identity/cmd/") {
			t.Errorf("the plugin imports %s", one)
		}
	}
}

// The modules of this binary, besides Caddy's own, are those of the plugin and the demonstration
// issuer.
func TestModules(t *testing.T) {
	content, err := os.ReadFile("../../testdata/list-modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := append(strings.Fields(string(content)), "http.handlers.demo_issuer")
	slices.Sort(want)
	var got []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "kube_identity") || slices.Contains(want, id) || strings.Contains(id, "demo") {
			got = append(got, id)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the modules are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
