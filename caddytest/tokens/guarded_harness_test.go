// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// guarded is a running Caddy of these tests.
type guarded struct{ *testhandler.Guarded }

// tokenGuard starts Caddy for sites with tokens. At the end of the test no part of any
// token may be in the log, and every refusal must have a reason.
func tokenGuard(t *testing.T, global, site string) *guarded {
	t.Helper()
	secret(t, testhandler.OwnToken)
	g := &guarded{testhandler.Guard(t, global, site)}
	t.Cleanup(func() { checkLog(t, g.Caddy) })
	return g
}

// newIssuer starts an issuer, whose tokens must not be logged.
func newIssuer(t *testing.T) *testissuer.Issuer {
	t.Helper()
	issuer := testissuer.New(t)
	issuer.OnToken = func(tb testing.TB, token string) {
		tb.Helper()
		secret(tb, token)
	}
	return issuer
}

// newAPI starts an API server, whose tokens must not be logged.
func newAPI(t *testing.T) *testreview.API {
	t.Helper()
	api := testreview.New(t)
	api.OnToken = func(token string) { secret(t, token) }
	secret(t, testreview.Credential)
	return api
}
