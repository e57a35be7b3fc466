// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// A verdict depends on the CAs of its time. The cache keeps verdicts for an hour, but not
// beyond the removal of the CA.
func TestClientCertDropsVerdictsOfOtherRoots(t *testing.T) {
	testhandler.Logging(t)
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	alice, bob := one.Leaf(t, testpki.Named(testpki.CommonName, "alice")), two.Leaf(t, testpki.Named(testpki.CommonName, "bob"))
	pool, trustPool := swappable(t, one.Cert)
	h := testhandler.Load(t, clientCertConfig(trustPool, object{"cache_ttl": "1h"}))
	for range 2 {
		wantServed(t, h, alice, "alice", 200)
		wantServed(t, h, bob, "", 401)
	}
	pool.Store(certPool(two.Cert))
	wantServed(t, h, alice, "", 401)
	wantServed(t, h, bob, "bob", 200)
	pool.Store(certPool())
	wantServed(t, h, bob, "", 401)
	pool.Store(nil) // never the system's roots
	wantServed(t, h, alice, "", 500)
	pool.Store(certPool(one.Cert))
	wantServed(t, h, alice, "alice", 200)
}

// The certificates that a pool shows may be a part of its CAs, or out of date.
func TestClientCertDoesNotRelyOnTheCertificatesThatAPoolShows(t *testing.T) {
	testhandler.Logging(t)
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	shownCert.Store(one.Cert)
	pool, trustPool := swappable(t, one.Cert)
	trustPool["provider"] = "test_show"
	h := testhandler.Load(t, clientCertConfig(trustPool, nil))
	alice := one.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	wantServed(t, h, alice, "alice", 200)
	pool.Store(certPool(two.Cert))
	wantServed(t, h, alice, "", 401)
	pool.Store(certPool(one.Cert, two.Cert))
	wantServed(t, h, alice, "alice", 200)
	pool.Store(certPool(two.Cert))
	wantServed(t, h, alice, "", 401)
}

// Settings that differ only in the CAs share a cache, not verdicts.
func TestClientCertSharesNoVerdictBetweenRoots(t *testing.T) {
	testhandler.Logging(t)
	one, two := testpki.NewCA(t, nil, "the same name", nil), testpki.NewCA(t, nil, "the same name", nil)
	alice := one.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	believes := testhandler.Load(t, clientCertConfig(testhandler.InlinePool(one), nil))
	doubts := testhandler.Load(t, clientCertConfig(testhandler.InlinePool(two), nil))
	wantServed(t, believes, alice, "alice", 200)
	wantServed(t, doubts, alice, "", 401)
}

func TestClientCertSharesNoVerdictBetweenSettings(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice := ca.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	for _, options := range []object{
		nil,
		{"user_prefix": "cert:"},
		{"map": []any{object{"name": "alice", "user": "mapped"}}},
		{"allowed_names": []string{"bob"}},
		{"username": []string{"email"}},
	} {
		h := testhandler.Load(t, clientCertConfig(testhandler.InlinePool(ca), options))
		want, status := "alice", 200
		switch {
		case options["user_prefix"] != nil:
			want = "cert:alice"
		case options["map"] != nil:
			want = "mapped"
		case options["allowed_names"] != nil:
			want, status = "", 403
		case options["username"] != nil:
			want, status = "", 401
		}
		wantServed(t, h, alice, want, status)
	}
}
