// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// block is a kube_identity that a trusted proxy passes.
func block(t *testing.T) string {
	t.Helper()
	return `kube_identity {
		trusted_proxies static ` + testhandler.TrustedPeer + `
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups
		}
		deny_users bob
		inject impersonation {
			token_file ` + testhandler.TokenFile(t) + `
		}
	}`
}

// CVE-2026-41181 (Traefik): an error route with a proxy forwards the client's credentials if
// the request was refused before they were stripped, or the injected ones if the upstream
// failed afterwards.
func TestErrorRoutesGetNoIdentity(t *testing.T) {
	rest := http.Header{"Sec-Websocket-Protocol": {"a"}}
	refused := func(name string, status int, reason string, fields ...string) testhandler.Exchange {
		return testhandler.Exchange{Name: name, Fields: testhandler.Claims(fields...), Status: status, Reason: reason, Want: rest}
	}
	cases := []testhandler.Exchange{
		refused("no credential", http.StatusOK, "no credential"),
		refused("denied", http.StatusOK, `forbidden: user "bob" is denied`, "X-Forwarded-User: bob"),
		refused("two users", http.StatusOK, "malformed: 2 lines of X-Forwarded-User", "X-Forwarded-User: alice", "X-Forwarded-User: bob"),
		refused("an upgrade that is dropped", http.StatusOK, "", "X-Forwarded-User: alice", "Connection: Upgrade", "Upgrade: h2c"),
		refused("the upstream fails", http.StatusOK, "", "X-Forwarded-User: alice"),
		{
			Name: "a stranger", From: testhandler.StrangerPeer, Fields: testhandler.Claims("X-Forwarded-User: alice"), Want: rest,
			Status: http.StatusOK, Reason: "no credential: fields dropped from a peer that is not trusted: 1",
		},
		{
			Name: "TRACE", Line: "TRACE / HTTP/1.1", Fields: testhandler.Claims("X-Forwarded-User: alice"), Want: rest,
			Status: http.StatusOK, Reason: "method not allowed: TRACE",
		},
		{
			Name: "user and password in the target", Line: "GET http://admin:secret@" + testhandler.SiteHost + "/ HTTP/1.1", WantLine: "GET / HTTP/1.1",
			Fields: testhandler.Claims(), Want: rest, Status: http.StatusOK, Reason: "no credential",
		},
		{
			Name: "user and password in the target, and the upstream fails", Line: "GET http://admin:secret@" + testhandler.SiteHost + "/ HTTP/1.1",
			WantLine: "GET / HTTP/1.1", Fields: testhandler.Claims("X-Forwarded-User: alice"), Want: rest, Status: http.StatusOK,
		},
	}
	for name, site := range map[string]string{
		"at the site": block(t) + `
	reverse_proxy 127.0.0.1:1`,
		"in a handle": `handle {
		` + block(t) + `
		reverse_proxy 127.0.0.1:1
	}`,
		"in a route": `route {
		` + block(t) + `
		reverse_proxy 127.0.0.1:1
	}`,
		"with retries": block(t) + `
	reverse_proxy 127.0.0.1:1 127.0.0.1:2 {
		lb_retries 3
	}`,
		"with a rewrite": "rewrite * /x\n" + block(t) + `
	reverse_proxy 127.0.0.1:1`,
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Guard(t, "", "http://:0 {\n"+site+"\nhandle_errors {\nreverse_proxy %[1]s\n}\n}\n").Run(t, cases)
		})
	}
}

// If a placeholder were set before the last check, an error route would take the client for
// a user (caddyserver/caddy#7688).
func TestErrorRoutesLearnNoUser(t *testing.T) {
	g := testhandler.Guard(t, "", `http://:0 {
	`+block(t)+`
	reverse_proxy 127.0.0.1:1
	handle_errors {
		reverse_proxy %[1]s {
			header_up X-Who "{http.auth.user.id}{http.auth.user.groups}{http.auth.user.email}"
		}
	}
}
`)
	g.Run(t, []testhandler.Exchange{
		{
			Name: "denied", Fields: []string{"X-Forwarded-User: bob"},
			Want:   http.Header{"X-Who": {"{http.auth.user.id}{http.auth.user.groups}{http.auth.user.email}"}}, // unset
			Reason: `forbidden: user "bob" is denied`,
		},
		{Name: "after the yes", Fields: testhandler.AliceAnd("X-Forwarded-Groups: dev"), Want: http.Header{"X-Who": {"alicedev"}}},
	})
}

// If the directive were sorted to just before reverse_proxy, it would come after handle and
// route, and a proxy inside them would be reached without it.
func TestProxiesInsideOtherBlocksAreGuarded(t *testing.T) {
	for name, site := range map[string]string{
		"handle":             "handle {\nreverse_proxy %[1]s\n}",
		"handle with a path": "handle /* {\nreverse_proxy %[1]s\n}",
		"handle_path":        "handle_path /x* {\nreverse_proxy %[1]s\n}\nhandle {\nreverse_proxy %[1]s\n}",
		"nested handles":     "handle {\nhandle {\nroute {\nreverse_proxy %[1]s\n}\n}\n}",
		"route":              "route {\nreverse_proxy %[1]s\n}",
		"route with a path":  "route /* {\nreverse_proxy %[1]s\n}",
		"redirected by try":  "try_files /nothing /\nreverse_proxy %[1]s",
		"a matcher":          "@all method GET\nreverse_proxy @all %[1]s",
		"after others":       "encode\nheader X-Seen 1\nrequest_header X-Seen 1\nrequest_header -X-Seen\nreverse_proxy %[1]s",
	} {
		t.Run(name, func(t *testing.T) {
			// written after the proxy: the order of the text does not matter
			g := testhandler.Guard(t, "", "http://:0 {\n"+site+"\n"+block(t)+"\n}\n")
			want := testhandler.As("alice")
			g.RunAndCheck(t, []testhandler.Exchange{
				{Name: "a stranger", Fields: testhandler.Claims(), Status: http.StatusUnauthorized, Reason: "no credential"},
				{
					Name: "a stranger", From: testhandler.StrangerPeer, Fields: testhandler.AliceAnd(),
					Status: http.StatusUnauthorized, Reason: "no credential: fields dropped from a peer that is not trusted: 1",
				},
				{Name: "alice", Fields: testhandler.AliceAnd("Connection: Impersonate-User", "Impersonate-Group: x"), Want: want},
			})
		})
	}
}
