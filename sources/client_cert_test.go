// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
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

// The issuer in an entry of the map is a CA of the pool, whichever of its certificates the
// client sends.
func TestClientCertMapsByAnIssuerOfThePool(t *testing.T) {
	testhandler.Logging(t)
	root, second := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "second", nil)
	mid, other := testpki.NewCA(t, root, "between", nil), testpki.NewCA(t, root, "other", nil)
	crossed := testpki.Sign(t, second, mid.Key, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = mid.Cert.Subject, true, true, x509.KeyUsageCertSign
	})
	renewed := testpki.Sign(t, root, mid.Key, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = mid.Cert.Subject, true, true, x509.KeyUsageCertSign
	})
	alice, foreign := mid.Leaf(t, testpki.Named(testpki.CommonName, "alice")), other.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	config := func(pool object, issuer *testpki.Pair) object {
		sum := sha256.Sum256(issuer.Cert.Raw)
		return clientCertConfig(pool, object{
			"chain_header": "X-Chain", "cache_ttl": "1h",
			"map": []any{
				object{"name": "alice", "user": "any"},
				object{"name": "alice", "user": "pinned", "issuer": hex.EncodeToString(sum[:])},
			},
		})
	}
	served := func(h *testhandler.Handler, want string, chain ...*testpki.Pair) {
		t.Helper()
		a := h.Get(t, "X-Client-Cert: "+testpki.Base64DER(chain[0]), "X-Chain: "+testpki.Base64DER(chain[1:]...))
		if got := a.Upstream.Get("X-User"); got != want || len(a.Upstream) != 1 {
			t.Errorf("the upstream received %v, want user %q; %s", a.Upstream, want, a.Reason())
		}
	}
	h := testhandler.Load(t, config(testhandler.InlinePool(root, second, mid), mid))
	for _, sent := range []*testpki.Pair{mid, testpki.Twin(t, mid, root), crossed, renewed} {
		served(h, "pinned", alice, sent)
		served(h, "any", foreign, other)
	}

	// With a bundle that changes, the CA counts, and not its certificate. That the fingerprint is
	// out of date shows at the next load.
	bundle := testpki.PEMFile(t, root, mid)
	pool := object{"provider": "watched_file", "files": []string{bundle}}
	h = testhandler.Load(t, config(pool, mid))
	served(h, "pinned", alice, mid)
	testhandler.Write(t, bundle, testpki.PEM(root, renewed))
	time.Sleep(filewatch.Interval + 100*time.Millisecond)
	served(h, "pinned", alice, renewed)
	served(h, "pinned", alice, mid)

	swap, hidden := swappable(t, root.Cert, mid.Cert)
	defer swap.Store(nil)
	for name, pool := range map[string]object{
		"one that has it no more": pool, "one that does not have it": testhandler.InlinePool(root), "one that shows nothing": hidden,
	} {
		if _, err := testhandler.TryLoad(t, config(pool, mid)); err == nil || !strings.Contains(err.Error(), "map: issuer: the trust_pool does not show") {
			t.Errorf("a pool, %s: %v", name, err)
		}
	}
}

// A certificate of X.509 version 1 in the pool is the certificate of a client, and does not
// make others.
func TestClientCertOfAVersion1CertificateIsNotOfACA(t *testing.T) {
	testhandler.Logging(t)
	pinned := testpki.NewVersion1(t, "alice")
	h := testhandler.Load(t, clientCertConfig(testhandler.InlinePool(pinned), nil))
	wantServed(t, h, pinned, "alice", 200)
	wantServed(t, h, pinned.Leaf(t, testpki.Named(testpki.CommonName, "bob")), "", 401)
}
