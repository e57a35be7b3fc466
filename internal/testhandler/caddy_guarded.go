// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The parties: two peers, the site, and the token of its service account.
const (
	TrustedPeer  = "127.0.0.2"
	StrangerPeer = "127.0.0.3"
	SiteHost     = "dash.example"
	OwnToken     = "the-proxys-own-token"
)

// Guarded is a running Caddy with kube_identity ahead of an upstream.
type Guarded struct {
	*Caddy

	Upstream *Upstream
	Refused  int // refusals in the log that have been checked

	tb    testing.TB
	judge *judge // nil: no table is shared with check yet
}

// Guard starts Caddy with one site. Its text has %[1]s for the upstream.
func Guard(tb testing.TB, global, site string) *Guarded {
	tb.Helper()
	return GuardUpstream(tb, NewUpstream(tb), global, site)
}

// GuardUpstream is Guard with an upstream of the test's own.
func GuardUpstream(tb testing.TB, upstream *Upstream, global, site string) *Guarded {
	tb.Helper()
	return &Guarded{Caddy: Start(tb, global, fmt.Sprintf(site, upstream.Addr)), Upstream: upstream, tb: tb}
}

// Impersonating is a site that injects impersonation for the users that a trusted proxy
// names in X-Forwarded-User and X-Forwarded-Groups. options go into the block of
// kube_identity.
func Impersonating(tb testing.TB, options string) string {
	tb.Helper()
	return `http://:0 {
	kube_identity {
		trusted_proxies static ` + TrustedPeer + `
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups
		}
		` + options + `
		inject impersonation {
			token_file ` + TokenFile(tb) + `
		}
	}
	reverse_proxy %[1]s
}
`
}

// TokenFile writes the proxy's own token.
func TokenFile(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "token")
	if err := os.WriteFile(path, []byte(OwnToken+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Claims are the fields in which a client claims an identity.
func Claims(fields ...string) []string {
	return append(
		fields,
		"Impersonate-User: admin", "Impersonate-Group: system:masters", "Authorization: Bearer mine",
		"Proxy-Authorization: Basic x", "X-Remote-User: admin", "Kiali-User: admin", "Connection: X-Forwarded-For",
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.bWluZQ, a",
	)
}

// Reasons of refusals.
const (
	FromUntrusted = "no credential: fields dropped from a peer that is not trusted: 1"
	NoCredential  = "no credential"
)
