// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto/x509"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
)

// BenchmarkDecode measures reading a field, and beside it the verification that follows,
// which a request without a cached verdict pays anyway.
func BenchmarkDecode(b *testing.B) {
	for kind, newSent := range map[string]func(testing.TB) sentCerts{"ECDSA": sentECDSA, "RSA": sentRSA} {
		sent := newSent(b)
		leaf, mid := sent.leaf, sent.intermediate
		for _, bm := range []struct {
			encoding    certauth.Encoding
			leaf, chain []string
		}{
			{certauth.URLPEM, []string{asNginxEscaped(leaf, mid)}, nil},
			{certauth.PEM, []string{asApacheFolded(leaf)}, []string{asApacheFolded(mid)}},
			{certauth.Base64DER, []string{asTraefik(leaf, mid)}, nil},
			{certauth.RFC9440, []string{asItem(leaf)}, []string{asItem(mid)}},
			{certauth.XFCC, []string{asEnvoy(leaf, mid)}, nil},
		} {
			b.Run(kind+"/"+string(bm.encoding), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := certauth.Decode(bm.encoding, bm.leaf, bm.chain, 4); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(kind+"/beside/parse_and_verify", func(b *testing.B) {
			root, err := x509.ParseCertificate(sent.root)
			if err != nil {
				b.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(root)
			b.ReportAllocs()
			for b.Loop() {
				parseAndVerify(b, sent, roots)
			}
		})
	}
}

func parseAndVerify(b *testing.B, sent sentCerts, roots *x509.CertPool) {
	b.Helper()
	leaf, err := x509.ParseCertificate(sent.leaf)
	if err != nil {
		b.Fatal(err)
	}
	intermediate, err := x509.ParseCertificate(sent.intermediate)
	if err != nil {
		b.Fatal(err)
	}
	intermediates := x509.NewCertPool()
	intermediates.AddCert(intermediate)
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: usage}); err != nil {
		b.Fatal(err)
	}
}
