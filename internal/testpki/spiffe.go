// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"testing"
)

// SPIFFEKey is the key of a CA in the bundle of a SPIFFE trust domain.
func SPIFFEKey(tb testing.TB, ca *Pair) map[string]any {
	tb.Helper()
	key, ok := ca.Cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		tb.Fatalf("the CA has a %T", ca.Cert.PublicKey)
	}
	point, err := key.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	half := len(point) / 2
	return map[string]any{
		"use": "x509-svid", "kty": "EC", "crv": "P-256",
		"x":   base64.RawURLEncoding.EncodeToString(point[1 : 1+half]),
		"y":   base64.RawURLEncoding.EncodeToString(point[1+half:]),
		"x5c": []any{base64.StdEncoding.EncodeToString(ca.Cert.Raw)},
	}
}

// SPIFFEBundle is the bundle of a SPIFFE trust domain, as SPIRE writes it.
func SPIFFEBundle(tb testing.TB, keys ...map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300})
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Workload gives a certificate the SPIFFE IDs of a workload, and what SPIRE writes beside them.
func Workload(tb testing.TB, ids ...string) func(*x509.Certificate) {
	tb.Helper()
	uris := make([]*url.URL, len(ids))
	for n, id := range ids {
		var err error
		if uris[n], err = url.Parse(id); err != nil {
			tb.Fatal(err)
		}
	}
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		c.URIs = append(c.URIs, uris...)
	}
}
