// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// A thief has an opaque token, and not the key of the certificate to which the server says that it
// is bound. The verdict is kept, and each request is compared.
func TestStolenTokenThatIsBoundAndIntrospected(t *testing.T) {
	server := newServer(t)
	root := testpki.NewCA(t, nil, "root", nil)
	alice, mallory := root.Leaf(t, nil), testpki.Sign(t, root, testpki.NewKey(t), nil)
	inject := "inject headers {\n user X-User\n}"
	s := boundSite(
		t,
		tokenBlock("default", introspectionBlock(t, server), inject),
		tokenBlock("required", introspectionBlock(t, server, "certificate_bound required"), inject),
		tokenBlock("off", introspectionBlock(t, server, "certificate_bound off"), inject),
		tokenBlock("fallback", introspectionBlock(t, server), "anonymous", inject),
	)
	of := func(pairs ...*testpki.Pair) []*testpki.Pair { return pairs }
	bound := server.Login(map[string]any{"cnf": map[string]any{"x5t#S256": thumbprint(alice)}})
	plain, dpop := server.Login(nil), server.Login(map[string]any{"cnf": map[string]any{"jkt": "x"}})
	runBound(t, s, []boundCase{
		{name: "the client", at: "default", chain: of(alice), token: bound},
		{name: "the thief", at: "default", chain: of(mallory), token: bound, status: 401, reason: boundElsewhere},
		{name: "the thief without a certificate", at: "default", token: bound, status: 401, reason: boundAndNone},
		{name: "the client again", at: "default", chain: of(alice), token: bound},
		{name: "the thief, where anonymous is left", at: "fallback", token: bound, status: 401, reason: boundAndNone},
		{name: "the thief, where the binding is not looked at", at: "off", token: bound},
		{name: "a token that is not bound", at: "default", token: plain},
		{name: "a token that must be bound", at: "required", chain: of(alice), token: plain, status: 401, reason: boundNotAtAll},
		{name: "bound, and it must be", at: "required", chain: of(alice), token: bound},
		{name: "bound to a key of DPoP", at: "default", chain: of(alice), token: dpop, status: 401, reason: boundUnknown + `it has the member "jkt"`},
	})
}
