// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// Site is a site in front of the API server that trusts the peer 127.0.0.1. block
// goes into kube_identity, transport into the transport of reverse_proxy.
func Site(tb testing.TB, block, transport string) string {
	tb.Helper()
	server := Server(tb)
	return fmt.Sprintf(`
http://:0 {
	kube_identity {
		trusted_proxies static 127.0.0.1/32
		%s
	}
	reverse_proxy %s {
		transport http {
			tls_trust_pool file %s
			versions 1.1
			%s
		}
	}
}
`, block, server.URL, server.CAFile, transport)
}

// Forwarded is the source of most of these tests.
const Forwarded = "forwarded oauth2_proxy\n"

// Impersonation is the injector of most of these tests.
func Impersonation(tb testing.TB, token string, options ...string) string {
	tb.Helper()
	return fmt.Sprintf("inject impersonation {\n token_file %s\n %s\n }\n", File(tb, token), strings.Join(options, "\n"))
}

// OIDC is the source for an issuer's tokens. It names users as the API server does.
func OIDC(issuer *apiserver.Issuer, options ...string) string {
	return fmt.Sprintf("oidc %s {\n audience %s\n trust_pool file %s\n username_claim sub oidc:\n groups_claim groups oidc:\n %s\n }\n",
		issuer.URL, issuer.Audience, issuer.CAFile, strings.Join(options, "\n"))
}

// Sign is a token of alice in the group developers, with changes.
func Sign(tb testing.TB, issuer *apiserver.Issuer, changes map[string]any) string {
	tb.Helper()
	claims := map[string]any{"sub": "alice", "groups": []string{"developers"}}
	maps.Copy(claims, changes)
	token, err := issuer.Sign("RS256", claims)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}
