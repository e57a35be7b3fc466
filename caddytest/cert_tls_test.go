// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// tlsSite is a site whose clients show certificates in the handshake. The listener asks
// for one in a mode, and whatever it verifies is not what the source believes.
type tlsSite struct {
	*guarded

	roots *x509.CertPool
}

// tlsGuard starts Caddy with blocks behind TLS. ca signs the server's certificate.
func tlsGuard(t *testing.T, ca *certNode, clientAuth string, blocks ...string) *tlsSite {
	t.Helper()
	server := ca.holder(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	certFile, keyFile := pemFile(t, server), keyFileOf(t, server)
	site := fmt.Sprintf("https://localhost:0 {\n\ttls %s %s {\n\t\tclient_auth {\n%s\n\t\t}\n\t}\n", certFile, keyFile, clientAuth)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return &tlsSite{guard(t, "", site+strings.Join(blocks, "")+"\treverse_proxy %[1]s\n}\n"), roots}
}

// tlsCase is a request on a connection with a certificate.
type tlsCase struct {
	name   string
	at     string
	chain  []*certNode
	fields []string
	status int
	reason string
	want   http.Header
}

func (s *tlsSite) run(t *testing.T, cases []tlsCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { s.ask(t, &c) })
	}
}

func (s *tlsSite) ask(t *testing.T, c *tlsCase) {
	t.Helper()
	config := &tls.Config{RootCAs: s.roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}
	if len(c.chain) > 0 {
		pair := tls.Certificate{PrivateKey: c.chain[0].key}
		for _, n := range c.chain {
			pair.Certificate = append(pair.Certificate, n.cert.Raw)
		}
		// whatever authorities the server names
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	conn := tls.Client(s.Dial(t, strangerPeer), config)
	line := "GET /" + c.at + " HTTP/1.1"
	lines := append([]string{line, "Host: localhost"}, c.fields...)
	if _, err := fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatalf("sending the request: %v", err)
	}
	got := readAnswer(t, bufio.NewReader(conn), "GET")
	if got.status != c.status {
		t.Errorf("status %d, want %d", got.status, c.status)
	}
	s.checkReason(t, c.reason)
	if c.want == nil {
		s.checkNothing(t)
		return
	}
	header := proxied(strangerPeer, and(c.want, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost", "Host", "localhost"))
	s.checkReceived(t, caddytest.Received{Line: line, Header: header})
}

// tlsBlock is certBlock for requests that come with their certificate themselves.
func tlsBlock(at, pool string, options ...string) string {
	text := certBlock(at, "tls", pool, options...)
	return strings.Replace(text, "\t\ttrusted_proxies static "+trustedPeer+"\n", "", 1)
}

// The listener only asks (mode request), so any certificate comes through the handshake,
// and it is this source that must say no.
func TestClientCertTLS(t *testing.T) {
	const (
		ok      = 200
		unknown = "rejected: the certificate is not issued by a trusted CA"
	)
	root, other := mintCA(t, nil, "root", nil), mintCA(t, nil, "other", nil)
	mid := mintCA(t, root, "between", nil)
	alice, deep := root.holder(t, nil), mid.holder(t, nil)
	admin := named(cn, "admin", org, "system:masters")
	self := mint(t, nil, certKey(), admin)
	expired := root.holder(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	forServers := root.holder(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	encrypting := root.holder(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	twoNames := root.holder(t, named(cn, "alice", cn, "mallory"))
	revoked := root.holder(t, nil)
	list, pool := listFile(t, "", root, 1, revoked), pemFile(t, root)
	proxyBlock := strings.Replace(certBlock("proxy", "rfc9440", pool), "trusted_proxies static "+trustedPeer,
		"trusted_proxy_cert {\ntrust_pool file "+pemFile(t, other)+"\nallowed_names edge\n}", 1)
	edge := other.holder(t, named(cn, "edge"))
	s := tlsGuard(
		t, root, "mode request",
		tlsBlock("tls", pool, "groups organization"),
		tlsBlock("crl", pool, "revocation {", "crl "+list, "}"),
		strings.Replace(tlsBlock("anonymous", pool), "\t\tinject", "\t\tanonymous\n\t\tinject", 1),
		proxyBlock,
	)
	is := proves(alice, "alice", "developers")
	nobody := http.Header{"X-Remote-User": {"system:anonymous"}, "X-Remote-Group": {"system:unauthenticated"}}
	shown := func(n *certNode) []string { return []string{"Client-Cert: " + byteSequences(n)} }
	const dropped = "no credential: fields dropped from a peer that is not trusted: 1: "
	s.run(t, []tlsCase{
		{"a good certificate", "tls", []*certNode{alice}, nil, ok, "", is},
		{"a good certificate with its chain", "tls", []*certNode{deep, mid, root}, nil, ok, "", proves(deep, "alice", "developers")},
		{"without its chain", "tls", []*certNode{deep}, nil, 401, unknown, nil},
		{"no certificate", "tls", nil, nil, 401, "no credential", nil},
		{"no certificate where nobody may be anonymous", "anonymous", nil, nil, ok, "", nobody},
		{"a bad certificate is not nobody", "anonymous", []*certNode{self}, nil, 401, unknown, nil},
		{"signed by itself, in the name of system:masters", "tls", []*certNode{self}, nil, 401, unknown, nil},
		{"signed by itself, with a good one after", "tls", []*certNode{self, alice, root}, nil, 401, unknown, nil},
		{"another CA", "tls", []*certNode{other.holder(t, admin), other}, nil, 401, unknown, nil},
		{"system:masters of the right CA", "tls", []*certNode{root.holder(t, admin)}, nil, 403, `forbidden: group "system:masters" is reserved`, nil},
		{"expired", "tls", []*certNode{expired}, nil, 401, "rejected: a certificate of the chain has expired or is not yet valid", nil},
		{"for servers only", "tls", []*certNode{forServers}, nil, 401, "rejected: the certificate is not for client authentication", nil},
		{"a key for encryption only", "tls", []*certNode{encrypting}, nil, 401, "rejected: the certificate's key is not for signatures", nil},
		{"a CA", "tls", []*certNode{mid, root}, nil, 401, "rejected: the certificate is a CA's", nil},
		{"two common names", "tls", []*certNode{twoNames}, nil, 401, "rejected: the certificate has 2 values for common_name", nil},
		{"revoked", "crl", []*certNode{revoked}, nil, 401, "rejected: certificate is revoked", nil},
		{"not revoked", "crl", []*certNode{alice}, nil, ok, "", proves(alice, "alice")},
		{"a certificate in a header is not one of the handshake", "tls", nil, shown(alice), 401, "no credential", nil},
		{"a certificate in a header beside that of the handshake", "tls", []*certNode{alice}, shown(twoNames), ok, "", is},

		{"the proxy's certificate is the trust in the header", "proxy", []*certNode{edge}, shown(alice), ok, "", proves(alice, "alice")},
		{"the proxy's own certificate is not the user's", "proxy", []*certNode{edge}, nil, 401, "no credential", nil},
		{"a user's certificate is not a proxy's", "proxy", []*certNode{alice}, shown(twoNames), 401, dropped + `verifying the peer's TLS client certificate: "x509: certificate signed by unknown authority"`, nil},
		{"another name of the proxies' CA", "proxy", []*certNode{other.holder(t, nil)}, shown(alice), 401, dropped + `the peer's TLS client certificate has common name "alice", which is not allowed`, nil},
		{"a header without the proxy's certificate", "proxy", nil, shown(alice), 401, dropped + "the peer has no TLS client certificate", nil},
	})
}

// What the listener itself verified, by a pool of its own, counts for nothing here.
func TestClientCertTLSHasItsOwnPool(t *testing.T) {
	root, other := mintCA(t, nil, "root", nil), mintCA(t, nil, "other", nil)
	s := tlsGuard(t, root, "mode verify_if_given\ntrust_pool file "+pemFile(t, root, other), tlsBlock("tls", pemFile(t, root)))
	alice := root.holder(t, nil)
	s.run(t, []tlsCase{
		{"both trust it", "tls", []*certNode{alice}, nil, 200, "", proves(alice, "alice")},
		{"only the listener trusts it", "tls", []*certNode{other.holder(t, nil)}, nil, 401, "rejected: the certificate is not issued by a trusted CA", nil},
	})
}

// A bundle that changes is read without a reload; one that breaks leaves the last good
// CAs; and no verdict outlives the CAs that it rests on.
func TestClientCertWatchedPool(t *testing.T) {
	one, two := mintCA(t, nil, "one", nil), mintCA(t, nil, "two", nil)
	ofOne, ofTwo := one.holder(t, nil), two.holder(t, nil)
	pool := pemFile(t, one)
	g := certGuard(t, certBlock("pool", "aws_alb", pool, "cache_ttl 10m"))
	sent := func(n *certNode) []string { return []string{"X-Amzn-Mtls-Clientcert: " + albPEM(n)} }
	status := func(n *certNode) int {
		return g.send(t, trustedPeer, "GET /pool HTTP/1.1", sent(n), "").status
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
	replace(pemOf(two))
	waitUntil(t, "the new CA counts", func() bool { return status(ofTwo) == 200 })
	if got := status(ofOne); got != 401 {
		t.Errorf("status %d for a certificate whose CA is gone", got)
	}
	replace("-----BEGIN CERT")
	waitUntil(t, "the bad bundle is in the log", func() bool {
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

func keyFileOf(t *testing.T, n *certNode) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(n.key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
