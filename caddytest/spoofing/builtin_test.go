// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// NCC-E003660-YVU (kube-apiserver): the names were configurable, but only the default ones
// were stripped. Here both are, in any place and from any client, even if this configuration
// does not use them.
func TestEveryBuiltinFieldIsStripped(t *testing.T) {
	trusted := testhandler.Guard(t, "", testhandler.Impersonating(t, "anonymous"))
	for _, pattern := range identity.BuiltinFields() {
		for _, name := range builtinNames(pattern) {
			if name == "X-Forwarded-User" || name == "X-Forwarded-Groups" {
				continue // the trusted proxy's own fields have separate cases
			}
			trusted.RunAndCheck(t, []testhandler.Exchange{{
				Name:   name + " of a trusted proxy",
				Fields: testhandler.AliceAnd(name+": admin", name+": root"),
				Want:   testhandler.As("alice"),
			}, {
				Name:   name + " of a stranger",
				From:   testhandler.StrangerPeer,
				Fields: []string{strings.ToLower(name) + ": admin", strings.ReplaceAll(name, "-", "+") + ": root"},
				Want:   testhandler.As("system:anonymous", "system:unauthenticated"),
			}})
		}
	}
}

// builtinNames are names that match a built-in pattern.
func builtinNames(pattern string) []string {
	prefix, isPrefix := strings.CutSuffix(pattern, "*")
	if !isPrefix {
		return []string{pattern}
	}
	return []string{prefix + "User", prefix + "0", prefix + "Extra-Example.com%2fRole", prefix + strings.Repeat("x", 200)}
}

// oauth2-proxy #877, cluster-proxy #329, Rancher Steve #25: the proxy's values are added to
// the client's. Here only the proxy's values arrive, also if the identity lacks a field.
func TestNothingIsAddedToWhatTheClientSent(t *testing.T) {
	g := testhandler.Guard(t, "", everything(t))
	client := []string{
		"Authorization: Bearer mine",
		"Impersonate-User: admin", "Impersonate-Group: system:masters", "Impersonate-Uid: 0",
		"Impersonate-Extra-Scopes: all", "Impersonate-Extra-Other: all",
		"X-Remote-User: admin", "X-Remote-Group: system:masters", "X-Remote-Uid: 0", "X-Remote-Extra-Scopes: all",
		"X-WEBAUTH-USER: admin", "X-App-Groups: admins", "X-App-Uid: 0", "X-App-Email: root@example.com",
		"X-App-Name: Root", "X-App-Login: root", "X-App-Extra-Scopes: all", "X-App-Extra-Other: all",
	}
	g.RunAndCheck(t, []testhandler.Exchange{
		{
			Name:   "an identity with every field",
			Fields: append(aliceForwarded(), client...),
			Want:   aliceInjected(),
		},
		{
			// CVE-2026-30851: the client's field survived when the answer lacked it
			Name:   "an identity with a user only",
			Fields: testhandler.AliceAnd(client...),
			Want:   testhandler.And(testhandler.As("alice"), "X-Remote-User", "alice", "X-Webauth-User", "alice"),
		},
		{
			Name:   "no identity",
			Fields: client,
			Status: http.StatusUnauthorized,
			Reason: "no credential",
		},
	})
}

// strip_headers strips the names that the operator lists, in every spelling.
func TestStripHeaders(t *testing.T) {
	g := testhandler.Guard(t, allowing, reading(t, "strip_headers X-Tenant Team-*"))
	g.RunAndCheck(t, []testhandler.Exchange{
		{
			Name:   "by name and by prefix",
			Fields: []string{"Whose-User: alice", "X_Tenant: a", "x.tenant: b", "Team-Id: c", "Team~Id: d", "X_Tenants: 1", "Team: 2"},
			Want:   testhandler.And(testhandler.As("alice"), "X_tenants", "1", "Team", "2"),
		},
	})
}
