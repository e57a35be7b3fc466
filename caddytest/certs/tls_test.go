// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// tlsBlock is certBlock for requests whose certificate is from their own handshake.
func tlsBlock(at, pool string, options ...string) string {
	text := certBlock(at, "tls", pool, options...)
	return strings.Replace(text, "\t\ttrusted_proxies static "+testhandler.TrustedPeer+"\n", "", 1)
}

// The listener only asks for a certificate (mode request), so any certificate passes the
// handshake, and the source must refuse it.
func TestClientCertTLS(t *testing.T) {
	const (
		ok      = 200
		unknown = "rejected: the certificate is not issued by a trusted CA"
	)
	root, other := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "other", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	alice, deep := root.Leaf(t, nil), mid.Leaf(t, nil)
	admin := testpki.Named(testpki.CommonName, "admin", testpki.Organization, "system:masters")
	self := testpki.Sign(t, nil, testpki.LeafKey(t), admin)
	expired := root.Leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	forServers := root.Leaf(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	encrypting := root.Leaf(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	twoNames := root.Leaf(t, testpki.Named(testpki.CommonName, "alice", testpki.CommonName, "mallory"))
	revoked := root.Leaf(t, nil)
	list, pool := testpki.ListFile(t, "", root, 1, revoked), testpki.PEMFile(t, root)
	proxyBlock := strings.Replace(certBlock("proxy", "rfc9440", pool), "trusted_proxies static "+testhandler.TrustedPeer,
		"trusted_proxy_cert {\ntrust_pool file "+testpki.PEMFile(t, other)+"\nallowed_names edge\n}", 1)
	edge := other.Leaf(t, testpki.Named(testpki.CommonName, "edge"))
	s := testhandler.GuardTLS(
		t, root, "mode request",
		tlsBlock("tls", pool, "groups organization"),
		tlsBlock("crl", pool, "revocation {", "crl "+list, "}"),
		strings.Replace(tlsBlock("anonymous", pool), "\t\tinject", "\t\tanonymous\n\t\tinject", 1),
		proxyBlock,
	)
	is := testhandler.Proves(alice, "alice", "developers")
	anonymous := http.Header{"X-Remote-User": {"system:anonymous"}, "X-Remote-Group": {"system:unauthenticated"}}
	shown := func(n *testpki.Pair) []string { return []string{"Client-Cert: " + testpki.ByteSequences(n)} }
	const dropped = "no credential: fields dropped from a peer that is not trusted: 1: "
	s.Run(t, []testhandler.TLSExchange{
		{Name: "a good certificate", At: "tls", Chain: []*testpki.Pair{alice}, Status: ok, Want: is},
		{Name: "a good certificate with its chain", At: "tls", Chain: []*testpki.Pair{deep, mid, root}, Status: ok, Want: testhandler.Proves(deep, "alice", "developers")},
		{Name: "without its chain", At: "tls", Chain: []*testpki.Pair{deep}, Status: 401, Reason: unknown},
		{Name: "no certificate", At: "tls", Status: 401, Reason: "no credential"},
		{Name: "no certificate, with anonymous", At: "anonymous", Status: ok, Want: anonymous},
		{Name: "a bad certificate is not anonymous", At: "anonymous", Chain: []*testpki.Pair{self}, Status: 401, Reason: unknown},
		{Name: "self-signed, in the name of system:masters", At: "tls", Chain: []*testpki.Pair{self}, Status: 401, Reason: unknown},
		{Name: "self-signed, with a good one after", At: "tls", Chain: []*testpki.Pair{self, alice, root}, Status: 401, Reason: unknown},
		{Name: "another CA", At: "tls", Chain: []*testpki.Pair{other.Leaf(t, admin), other}, Status: 401, Reason: unknown},
		{Name: "system:masters of the right CA", At: "tls", Chain: []*testpki.Pair{root.Leaf(t, admin)}, Status: 403, Reason: `forbidden: group "system:masters" is reserved`},
		{Name: "expired", At: "tls", Chain: []*testpki.Pair{expired}, Status: 401, Reason: "rejected: a certificate of the chain has expired or is not yet valid"},
		{Name: "for servers only", At: "tls", Chain: []*testpki.Pair{forServers}, Status: 401, Reason: "rejected: the certificate is not for client authentication"},
		{Name: "a key for encryption only", At: "tls", Chain: []*testpki.Pair{encrypting}, Status: 401, Reason: "rejected: the certificate's key is not for signatures"},
		{Name: "a CA", At: "tls", Chain: []*testpki.Pair{mid, root}, Status: 401, Reason: "rejected: the certificate is a CA certificate"},
		{Name: "two common names", At: "tls", Chain: []*testpki.Pair{twoNames}, Status: 401, Reason: "rejected: the certificate has 2 values for common_name"},
		{Name: "revoked", At: "crl", Chain: []*testpki.Pair{revoked}, Status: 401, Reason: "rejected: certificate is revoked"},
		{Name: "not revoked", At: "crl", Chain: []*testpki.Pair{alice}, Status: ok, Want: testhandler.Proves(alice, "alice")},
		{Name: "a certificate in a header is not one of the handshake", At: "tls", Fields: shown(alice), Status: 401, Reason: "no credential"},
		{Name: "a certificate in a header beside that of the handshake", At: "tls", Chain: []*testpki.Pair{alice}, Fields: shown(twoNames), Status: ok, Want: is},

		{Name: "the proxy's certificate makes the header trusted", At: "proxy", Chain: []*testpki.Pair{edge}, Fields: shown(alice), Status: ok, Want: testhandler.Proves(alice, "alice")},
		{Name: "the proxy's own certificate is not the user's", At: "proxy", Chain: []*testpki.Pair{edge}, Status: 401, Reason: "no credential"},
		{Name: "a user's certificate is not a proxy's", At: "proxy", Chain: []*testpki.Pair{alice}, Fields: shown(twoNames), Status: 401, Reason: dropped + "verifying the peer's TLS client certificate: the certificate is not issued by a trusted CA"},
		{Name: "another name of the proxies' CA", At: "proxy", Chain: []*testpki.Pair{other.Leaf(t, nil)}, Fields: shown(alice), Status: 401, Reason: dropped + `the peer's TLS client certificate has common name "alice", which is not allowed`},
		{Name: "a header without the proxy's certificate", At: "proxy", Fields: shown(alice), Status: 401, Reason: dropped + "the peer has no TLS client certificate"},
	})
}

// A certificate that the listener has verified, by its own pool, is not trusted here.
func TestClientCertTLSHasItsOwnPool(t *testing.T) {
	root, other := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "other", nil)
	s := testhandler.GuardTLS(t, root, "mode verify_if_given\ntrust_pool file "+testpki.PEMFile(t, root, other), tlsBlock("tls", testpki.PEMFile(t, root)))
	alice := root.Leaf(t, nil)
	s.Run(t, []testhandler.TLSExchange{
		{Name: "both trust it", At: "tls", Chain: []*testpki.Pair{alice}, Status: 200, Want: testhandler.Proves(alice, "alice")},
		{Name: "only the listener trusts it", At: "tls", Chain: []*testpki.Pair{other.Leaf(t, nil)}, Status: 401, Reason: "rejected: the certificate is not issued by a trusted CA"},
	})
}

// A bundle that changes is read without a reload; after a bad one the last good CAs are
// kept; and a verdict does not outlive the CAs that it depends on.
func TestClientCertWatchedPool(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ofOne, ofTwo := one.Leaf(t, nil), two.Leaf(t, nil)
	pool := testpki.PEMFile(t, one)
	g := certGuard(t, certBlock("pool", "aws_alb", pool, "cache_ttl 10m"))
	sent := func(n *testpki.Pair) []string { return []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(n)} }
	status := func(n *testpki.Pair) int {
		return g.Send(t, testhandler.TrustedPeer, "GET /pool HTTP/1.1", sent(n), "").Status
	}
	replace := func(content string) {
		if err := os.WriteFile(pool+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(pool+".new", pool); err != nil {
			t.Fatal(err)
		}
	}
	if got, other := status(ofOne), status(ofTwo); got != 200 || other != 401 {
		t.Fatalf("at first: status %d and %d", got, other)
	}
	replace(testpki.PEM(two))
	testhandler.WaitUntil(t, "the new CA counts", func() bool { return status(ofTwo) == 200 })
	if got := status(ofOne); got != 401 {
		t.Errorf("status %d for a certificate whose CA was removed", got)
	}
	replace("-----BEGIN CERT")
	testhandler.WaitUntil(t, "the bad bundle is in the log", func() bool {
		status(ofTwo)
		for _, line := range g.Log(t) {
			if line.Logger == "tls.ca_pool.source.watched_file" && line.Message == "keeping the last good certificates" {
				return true
			}
		}
		return false
	})
	if got := status(ofTwo); got != 200 {
		t.Errorf("status %d after the bundle broke", got)
	}
}
