// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// bindTo has the issuer bind its ID tokens to a certificate.
func bindTo(p *testpki.Pair) func(*testissuer.Login) {
	sum := sha256.Sum256(p.Cert.Raw)
	return func(l *testissuer.Login) {
		l.OnClaims(func(claims map[string]any) {
			claims["cnf"] = map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
		})
	}
}

// The thief of a session's cookie does not have the certificate to which its ID token is bound.
// A trusted proxy passes the certificates on.
func TestStolenSessionWhoseTokenIsBound(t *testing.T) {
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice, mallory := ca.Leaf(t, nil), testpki.Sign(t, ca, testpki.NewKey(t), nil)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{
		prepare: bindTo(alice),
		handler: "trusted_proxies static 127.0.0.1",
		sources: "client_cert rfc9440 {\n trust_pool file " + testpki.PEMFile(t, testpki.NewCA(t, nil, "none", nil)) + "\n}",
	})
	w := s.window(t)
	w.login("/")
	shown := func(p *testpki.Pair) string { return "Client-Cert: " + testpki.ByteSequences(p) }
	for range 2 { // the second time by a verdict that is kept
		w.wantUser("alice", shown(alice))
		for name, fields := range map[string][]string{"another certificate": {shown(mallory)}, "no certificate": nil} {
			answer := w.ask(http.MethodGet, "/api", append(fetches(), fields...))
			if received := s.Upstream.Take(); answer.status != http.StatusUnauthorized || len(received) > 0 {
				t.Errorf("%s: status %d, the upstream received %v", name, answer.status, received)
			}
		}
	}
	if answer := w.open("/"); answer.status != http.StatusSeeOther {
		t.Errorf("a page load without the certificate: status %d", answer.status)
	}
}

// A request with a cookie and nothing else to strip: the certificate of its connection is that of
// a trusted proxy, and not of the proxy's client.
func TestSessionWhoseTokenIsBoundToTheProxy(t *testing.T) {
	ca := testpki.NewCA(t, nil, "ca", nil)
	proxy := ca.Leaf(t, nil)
	server := ca.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{host}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	pool := testpki.PEMFile(t, ca)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{
		prepare: bindTo(proxy),
		address: "https://" + host + ":0",
		before:  "tls " + testpki.PEMFile(t, server) + " " + testpki.KeyFile(t, server) + " {\n client_auth {\n mode request\n }\n}",
		handler: "trusted_proxy_cert {\n trust_pool file " + pool + "\n}",
		session: "insecure_http",
	})
	w := s.window(t)
	transport := w.client.Transport.(*http.Transport)
	config := testpki.ClientTLS(ca, host, proxy)
	config.InsecureSkipVerify = true // the issuer's is another
	transport.TLSClientConfig = config
	w.login("https://" + host + "/")
	answer := w.ask(http.MethodGet, "https://"+host+"/api", nil)
	if received := s.Upstream.Take(); answer.status != http.StatusUnauthorized || len(received) > 0 {
		t.Errorf("status %d, the upstream received %v", answer.status, received)
	}
	if lines := s.Refusals(t); len(lines) == 0 || lines[len(lines)-1].Reason != "no credential: the session's ID token: rejected: the token is bound to a certificate, and no client_cert reads that of the proxy's client" {
		t.Errorf("refused: %+v", lines)
	}
}
