// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"net/http"
	"testing"
)

// block is a kube_identity that a trusted proxy gets through.
func block(t *testing.T) string {
	t.Helper()
	return `kube_identity {
		trusted_proxies static ` + trustedPeer + `
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups
		}
		deny_users bob
		inject impersonation {
			token_file ` + tokenFile(t) + `
		}
	}`
}

// claims are the ways in which a client says who it is.
func claims(fields ...string) []string {
	return append(
		fields,
		"Impersonate-User: admin", "Impersonate-Group: system:masters", "Authorization: Bearer mine",
		"Proxy-Authorization: Basic x", "X-Remote-User: admin", "Kiali-User: admin", "Connection: X-Forwarded-For",
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.bWluZQ, a",
	)
}

// CVE-2026-41181 (Traefik): an error route that proxies gets the client's credentials,
// when the request was refused before they were taken off, or the injected ones, when
// the upstream failed after.
func TestErrorRoutesGetNoIdentity(t *testing.T) {
	rest := http.Header{"Sec-Websocket-Protocol": {"a"}}
	refused := func(name string, status int, reason string, fields ...string) exchange {
		return exchange{name: name, fields: claims(fields...), status: status, reason: reason, want: rest}
	}
	cases := []exchange{
		refused("nobody", http.StatusOK, "no credential"),
		refused("denied", http.StatusOK, `forbidden: user "bob" is denied`, "X-Forwarded-User: bob"),
		refused("two users", http.StatusOK, "malformed: 2 lines of X-Forwarded-User", "X-Forwarded-User: alice", "X-Forwarded-User: bob"),
		refused("an upgrade that is refused", http.StatusOK, `malformed: upgrade to "h2c"`, "X-Forwarded-User: alice", "Connection: Upgrade", "Upgrade: h2c"),
		refused("the upstream fails", http.StatusOK, "", "X-Forwarded-User: alice"),
		{
			name: "a stranger", from: strangerPeer, fields: claims("X-Forwarded-User: alice"), want: rest,
			status: http.StatusOK, reason: "no credential: fields dropped from a peer that is not trusted: 1",
		},
		{
			name: "TRACE", line: "TRACE / HTTP/1.1", fields: claims("X-Forwarded-User: alice"), want: rest,
			status: http.StatusOK, reason: "method not allowed: TRACE",
		},
		{
			name: "user and password in the target", line: "GET http://admin:secret@" + siteHost + "/ HTTP/1.1", wantLine: "GET / HTTP/1.1",
			fields: claims(), want: rest, status: http.StatusOK, reason: "no credential",
		},
		{
			name: "user and password in the target, and the upstream fails", line: "GET http://admin:secret@" + siteHost + "/ HTTP/1.1",
			wantLine: "GET / HTTP/1.1", fields: claims("X-Forwarded-User: alice"), want: rest, status: http.StatusOK,
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
			guard(t, "", "http://:0 {\n"+site+"\nhandle_errors {\nreverse_proxy %[1]s\n}\n}\n").run(t, cases)
		})
	}
}

// A placeholder that is set before the last yes would let an error route take the
// client for somebody (caddyserver/caddy#7688).
func TestErrorRoutesLearnNoUser(t *testing.T) {
	g := guard(t, "", `http://:0 {
	`+block(t)+`
	reverse_proxy 127.0.0.1:1
	handle_errors {
		reverse_proxy %[1]s {
			header_up X-Who "{http.auth.user.id}{http.auth.user.groups}{http.auth.user.email}"
		}
	}
}
`)
	g.run(t, []exchange{
		{
			name: "denied", fields: []string{"X-Forwarded-User: bob"},
			want:   http.Header{"X-Who": {"{http.auth.user.id}{http.auth.user.groups}{http.auth.user.email}"}}, // unset
			reason: `forbidden: user "bob" is denied`,
		},
		{name: "after the yes", fields: aliceAnd("X-Forwarded-Groups: dev"), want: http.Header{"X-Who": {"alicedev"}}},
	})
}

// Sorted to just before reverse_proxy, the directive would come after handle and route,
// and a proxy in there would be reached without it.
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
			// written after the proxy: the order of the text means nothing
			g := guard(t, "", "http://:0 {\n"+site+"\n"+block(t)+"\n}\n")
			want := as("alice")
			g.run(t, []exchange{
				{name: "nobody", fields: claims(), status: http.StatusUnauthorized, reason: "no credential"},
				{
					name: "a stranger", from: strangerPeer, fields: aliceAnd(),
					status: http.StatusUnauthorized, reason: "no credential: fields dropped from a peer that is not trusted: 1",
				},
				{name: "alice", fields: aliceAnd("Connection: Impersonate-User", "Impersonate-Group: x"), want: want},
			})
		})
	}
}
