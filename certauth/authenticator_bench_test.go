// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newKey makes a key of the kind "rsa" or "ecdsa".
func newKey(tb testing.TB, kind string) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// sign signs a template with an issuer (nil: the certificate itself).
func sign(tb testing.TB, template *x509.Certificate, key crypto.Signer, issuer *authority) *x509.Certificate {
	tb.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	var by *testpki.Pair
	if issuer != nil {
		by = &testpki.Pair{Cert: issuer.cert, Key: issuer.key}
	}
	return testpki.Sign(tb, by, key, func(c *x509.Certificate) { *c = *template }).Cert
}

func newAuthority(tb testing.TB, kind, name string, issuer *authority) *authority {
	tb.Helper()
	key := newKey(tb, kind)
	return &authority{sign(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, key, issuer), key}
}

// clientTemplate is an ordinary client certificate.
func clientTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: []string{"developers"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// escaped writes certificates as AWS ALB and nginx do.
func escaped(certs ...*x509.Certificate) string {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return url.PathEscape(string(text))
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}

// BenchmarkAuthenticator measures the whole way from a header value to a user. x-sha256
// is the ratio of a cached verdict to the SHA-256 of the same value, and should be at most 3.
// x-verify is the ratio of an uncached verdict to parsing and verifying by x509 alone, and
// should be at most 1.3.
func BenchmarkAuthenticator(b *testing.B) {
	for _, kind := range []string{"rsa", "ecdsa"} {
		root := newAuthority(b, kind, "root", nil)
		leaf := sign(b, clientTemplate("alice"), newKey(b, kind), root)
		value := escaped(leaf)
		pool := poolOf(root.cert)
		a := &certauth.Authenticator{
			Encoding: certauth.URLPEM,
			Trust:    func() certauth.Trust { return certauth.Trust{Roots: pool} },
			Verifier: certauth.Verifier{MaxIntermediates: certauth.DefaultMaxIntermediates},
			Mapping:  certauth.Mapping{Username: []certauth.Attribute{certauth.CommonName}},
			TTL:      time.Minute,
		}
		b.Run(kind+"/cold", func(b *testing.B) {
			benchmarkAuthenticator(b, a, value, func() { verifyAlone(b, leaf.Raw, pool) }, "x-verify")
		})
		a.Cache = certauth.NewCache(16)
		b.Run(kind+"/cached", func(b *testing.B) {
			benchmarkAuthenticator(b, a, value, func() { _ = sha256.Sum256([]byte(value)) }, "x-sha256")
		})
	}
}

func benchmarkAuthenticator(b *testing.B, a *certauth.Authenticator, value string, yardstick func(), unit string) {
	b.Helper()
	lines := []string{value}
	b.ReportAllocs()
	var own, other []time.Duration
	for b.Loop() { // side by side, so that both meet the same machine
		start := time.Now()
		verdict, err := a.Header(b.Context(), lines, nil, start)
		own = append(own, time.Since(start))
		if err != nil || verdict.User.Username != "alice" {
			b.Fatal(verdict, err)
		}
		start = time.Now()
		yardstick()
		other = append(other, time.Since(start))
	}
	slices.Sort(own)
	slices.Sort(other)
	b.ReportMetric(float64(own[len(own)/2])/float64(other[len(other)/2]), unit) // of medians
}

func verifyAlone(b *testing.B, der []byte, roots *x509.CertPool) {
	b.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		b.Fatal(err)
	}
}
