// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// wantSentinel compares the sentinel, and checks that there is no other.
func wantSentinel(tb testing.TB, err, want error) {
	tb.Helper()
	if want == nil && err != nil {
		tb.Fatal(err)
	}
	for _, sentinel := range identity.Sentinels() {
		if errors.Is(err, sentinel) != errors.Is(want, sentinel) {
			tb.Fatalf("got %v, want %v", err, want)
		}
	}
}

func changed(template *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
	change(template)
	return template
}

func trusting(roots ...*x509.Certificate) certauth.Trust {
	return certauth.Trust{Roots: poolOf(roots...)}
}

func TestVerifierAcceptsAndReturnsTheChain(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	mid := newAuthority(t, "ecdsa", "between", root)
	key := newKey(t, "ecdsa")
	leaf := sign(t, clientTemplate("alice"), key, mid)
	verifier := certauth.Verifier{MaxIntermediates: 1}
	chain, until, err := verifier.Verify(trusting(root.cert), []*x509.Certificate{leaf, root.cert, mid.cert}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 3 || !chain[0].Equal(leaf) || !chain[1].Equal(mid.cert) || !chain[2].Equal(root.cert) {
		t.Errorf("a chain of %d certificates, not leaf, intermediate and root", len(chain))
	}
	if !until.Equal(leaf.NotAfter) && !until.Equal(mid.cert.NotAfter) && !until.Equal(root.cert.NotAfter) {
		t.Errorf("valid until %v, which is not the end of any of them", until)
	}
}

// The chain is valid until the first of its certificates ends, whichever one it is.
func TestVerifierIsValidUntilTheFirstEnd(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	ends := func(hours int) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(time.Duration(hours)*time.Hour)
		}
	}
	ca := func(name string, hours int, by *authority) *authority {
		key := newKey(t, "ecdsa")
		return &authority{sign(t, changed(&x509.Certificate{
			Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, ends(hours)), key, by), key}
	}
	for name, hours := range map[string][3]int{
		"the leaf's":         {1, 2, 3},
		"the intermediate's": {2, 1, 3},
		"the root's":         {3, 2, 1},
	} {
		root := ca("root", hours[2], nil)
		mid := ca("between", hours[1], root)
		leaf := sign(t, changed(clientTemplate("alice"), ends(hours[0])), newKey(t, "ecdsa"), mid)
		verifier := certauth.Verifier{MaxIntermediates: 1}
		_, until, err := verifier.Verify(trusting(root.cert), []*x509.Certificate{leaf, mid.cert}, now)
		if err != nil || !until.Equal(now.Add(time.Hour)) {
			t.Errorf("%s: until %v, %v", name, until, err)
		}
		for _, when := range []time.Duration{time.Hour + time.Second, -2 * time.Hour} {
			_, _, err = verifier.Verify(trusting(root.cert), []*x509.Certificate{leaf, mid.cert}, now.Add(when))
			wantSentinel(t, err, identity.ErrRejected)
		}
	}
}

func TestVerifierRefuses(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	mid := newAuthority(t, "ecdsa", "between", root)
	low := newAuthority(t, "ecdsa", "below", mid)
	other := newAuthority(t, "ecdsa", "other", nil)
	key := newKey(t, "ecdsa")
	leaf := func(by *authority, change func(*x509.Certificate)) *x509.Certificate {
		return sign(t, changed(clientTemplate("alice"), change), key, by)
	}
	nothing := func(*x509.Certificate) {}
	good := leaf(root, nothing)
	usage := func(usage x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = usage }
	}
	withoutBits := leaf(root, func(c *x509.Certificate) {
		c.KeyUsage = 0
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 1, 0}}}
	})
	for _, tt := range []struct {
		name          string
		roots         *x509.CertPool
		leaf          *x509.Certificate
		intermediates []*x509.Certificate
		want          error
	}{
		{"a good one is not refused", poolOf(root.cert), good, nil, nil},
		{"no roots, which would mean the system's", nil, good, nil, identity.ErrInternal},
		{"empty roots", x509.NewCertPool(), good, nil, identity.ErrRejected},
		{"the root is only among the intermediates", poolOf(other.cert), good, []*x509.Certificate{root.cert}, identity.ErrRejected},
		{"another authority", poolOf(root.cert), leaf(other, nothing), []*x509.Certificate{other.cert}, identity.ErrRejected},
		{"a self-signed leaf", poolOf(root.cert), leaf(nil, nothing), nil, identity.ErrRejected},
		{"a self-signed leaf that is an intermediate too", poolOf(root.cert), leaf(nil, nothing), []*x509.Certificate{leaf(nil, nothing)}, identity.ErrRejected},
		{"the root as the leaf", poolOf(root.cert), root.cert, nil, identity.ErrRejected},
		{"an intermediate as the leaf", poolOf(root.cert), mid.cert, nil, identity.ErrRejected},
		{"too many intermediates", poolOf(root.cert), leaf(low, nothing), []*x509.Certificate{mid.cert, low.cert}, identity.ErrRejected},
		{"a key for encipherment", poolOf(root.cert), leaf(root, usage(x509.KeyUsageKeyEncipherment)), nil, identity.ErrRejected},
		{"a key for agreement", poolOf(root.cert), leaf(root, usage(x509.KeyUsageKeyAgreement|x509.KeyUsageDecipherOnly)), nil, identity.ErrRejected},
		{"a key usage without a bit", poolOf(root.cert), withoutBits, nil, identity.ErrRejected},
		{"no key usage at all", poolOf(root.cert), leaf(root, usage(0)), nil, nil},
		{"for signatures and more", poolOf(root.cert), leaf(root, usage(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment)), nil, nil},
		{"a root that is not self-signed", poolOf(mid.cert), leaf(mid, nothing), nil, identity.ErrRejected},
		{"an intermediate beside the root, helping only", poolOf(root.cert), leaf(mid, nothing), []*x509.Certificate{mid.cert}, nil},
		{"the leaf itself trusted", poolOf(good), good, nil, identity.ErrRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verifier := certauth.Verifier{MaxIntermediates: 1}
			chain, _, err := verifier.Verify(certauth.Trust{Roots: tt.roots}, append([]*x509.Certificate{tt.leaf}, tt.intermediates...), time.Now())
			wantSentinel(t, err, tt.want)
			if err != nil && chain != nil {
				t.Error("there is a chain beside the error")
			}
		})
	}
}

func TestVerifierAllowsPartialChainsOnlyIfConfigured(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	mid := newAuthority(t, "ecdsa", "between", root)
	leaf := sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), mid)
	for allow, want := range map[bool]error{false: identity.ErrRejected, true: nil} {
		verifier := certauth.Verifier{AllowPartialChain: allow}
		_, _, err := verifier.Verify(trusting(mid.cert), []*x509.Certificate{leaf}, time.Now())
		wantSentinel(t, err, want)
		_, _, err = verifier.Verify(trusting(leaf), []*x509.Certificate{leaf}, time.Now())
		wantSentinel(t, err, want)
	}
}

// x509's own errors are full of names from certificates, whose makers can choose anything:
// line breaks, escape sequences of a terminal, ten kilobytes.
func TestVerifierErrorsShowNothingOfACertificate(t *testing.T) {
	root, other := newAuthority(t, "ecdsa", "root", nil), newAuthority(t, "ecdsa", "leak-other", nil)
	limited := &authority{key: newKey(t, "ecdsa")}
	limited.cert = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "leak-limited"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomains: []string{"leak.example"},
	}, limited.key, root)
	key := newKey(t, "ecdsa")
	leaking := func(by *authority, change func(*x509.Certificate)) *x509.Certificate {
		return sign(t, changed(clientTemplate("leak\r\n\x1b[2J"+strings.Repeat("x", 5000)), change), key, by)
	}
	for name, leaf := range map[string]*x509.Certificate{
		"unknown": leaking(other, func(c *x509.Certificate) { c.DNSNames = []string{"leak.example"} }),
		"expired": leaking(root, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1, 0), time.Unix(2, 0) }),
		"usage":   leaking(root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"name":    leaking(limited, func(c *x509.Certificate) { c.DNSNames = []string{"leak.test"} }),
		"critical": leaking(root, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte("leak")}}
		}),
		"self": leaking(nil, func(*x509.Certificate) {}),
	} {
		verifier := certauth.Verifier{MaxIntermediates: 4}
		_, _, err := verifier.Verify(trusting(root.cert), []*x509.Certificate{leaf, limited.cert, other.cert}, time.Now())
		wantSentinel(t, err, identity.ErrRejected)
		if text := err.Error(); strings.Contains(text, "leak") || len(text) > 120 {
			t.Errorf("%s: the error shows %q", name, text)
		}
	}
}
