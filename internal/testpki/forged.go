// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// signed is a certificate in ASN.1.
type signed struct {
	Content   asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// Twin makes a second certificate of one with an ECDSA signature, as any party can: if (r, s)
// is a signature, so is (r, n-s). Everything in it is the same except its fingerprint.
func Twin(tb testing.TB, p *Pair, by *Pair) *Pair {
	tb.Helper()
	var cert signed
	var signature struct{ R, S *big.Int }
	mustParse(tb, p.Cert.Raw, &cert)
	mustParse(tb, cert.Signature.Bytes, &signature)
	signature.S.Sub(by.Key.Public().(*ecdsa.PublicKey).Params().N, signature.S)
	cert.Signature = bits(mustMarshal(tb, signature))
	return &Pair{certificate(tb, mustMarshal(tb, cert)), p.Key}
}

// NewVersion1 makes a self-signed certificate of X.509 version 1, which has no extensions and
// so does not say whether it is a CA.
func NewVersion1(tb testing.TB, name string) *Pair {
	tb.Helper()
	model := NewCA(tb, nil, name, nil)
	var cert signed
	mustParse(tb, model.Cert.Raw, &cert)
	cert.Content = asn1.RawValue{FullBytes: mustMarshal(tb, struct {
		Serial    *big.Int
		Algorithm asn1.RawValue
		Issuer    asn1.RawValue
		Validity  struct{ NotBefore, NotAfter time.Time }
		Subject   asn1.RawValue
		Key       asn1.RawValue
	}{
		model.Cert.SerialNumber, cert.Algorithm,
		asn1.RawValue{FullBytes: model.Cert.RawSubject},
		struct{ NotBefore, NotAfter time.Time }{time.Now().Add(-time.Hour).UTC(), time.Now().Add(time.Hour).UTC()},
		asn1.RawValue{FullBytes: model.Cert.RawSubject},
		asn1.RawValue{FullBytes: model.Cert.RawSubjectPublicKeyInfo},
	})}
	sum := sha256.Sum256(cert.Content.FullBytes)
	signature, err := ecdsa.SignASN1(rand.Reader, model.Key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	cert.Signature = bits(signature)
	return &Pair{certificate(tb, mustMarshal(tb, cert)), model.Key}
}

// WithRSA makes the certificate of a CA with an RSA key of that many bits. It has no private
// key, which would take long to find: by signs it.
func WithRSA(tb testing.TB, by *Pair, name string, length int) *Pair {
	tb.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(length-1))
	template := *by.Cert
	template.Subject, template.SubjectKeyId = pkix.Name{CommonName: name}, nil
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Cert, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}, by.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return &Pair{certificate(tb, der), nil}
}

func bits(content []byte) asn1.BitString {
	return asn1.BitString{Bytes: content, BitLength: 8 * len(content)}
}

func certificate(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func mustParse(tb testing.TB, der []byte, into any) {
	tb.Helper()
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		tb.Fatal(err, len(rest))
	}
}

func mustMarshal(tb testing.TB, value any) []byte {
	tb.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
