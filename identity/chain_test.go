// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func certsOf(pairs ...*testpki.Pair) (certs []*x509.Certificate) {
	for _, p := range pairs {
		certs = append(certs, p.Cert)
	}
	return certs
}

// cross makes another certificate of a CA, by another CA.
func cross(tb testing.TB, by, ca *testpki.Pair) *testpki.Pair {
	tb.Helper()
	return testpki.Sign(tb, by, ca.Key, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid = ca.Cert.Subject, true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	})
}

// Each of these takes no longer than a look at it.
func TestCertificatesThatAreNotWorthALook(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	alice := root.Leaf(t, nil)
	long := root.Leaf(t, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 64<<10)}}
	})
	kind := *alice.Cert
	kind.PublicKey = nil // an algorithm that x509 does not know
	for name, test := range map[string]struct {
		sent []*x509.Certificate
		err  string
	}{
		"as many as allowed":               {certsOf(alice, root, root, root), ""},
		"one more":                         {certsOf(alice, root, root, root, root), "5 certificates, more than 4"},
		"an RSA key of 8192 bits":          {certsOf(alice, testpki.WithRSA(t, root, "root", 8192)), ""},
		"a longer RSA key":                 {certsOf(alice, testpki.WithRSA(t, root, "root", 8200)), "an RSA key of 8200 bits, more than 8192"},
		"a longer RSA key of the client's": {certsOf(testpki.WithRSA(t, root, "alice", 40960)), "an RSA key of 40960 bits, more than 8192"},
		"a key of another kind":            {append(certsOf(alice), &kind), "a key of a kind that is not accepted"},
		"long certificates":                {certsOf(alice, long), "the certificates are longer than 65536 bytes"},
	} {
		rules := identity.ChainRules{Roots: pool(root.Cert), MaxSent: 3}
		_, _, err := rules.Build(test.sent, time.Now())
		if early := rules.CheckSent(test.sent); fmt.Sprint(err) != fmt.Sprint(early) || test.err != "" && fmt.Sprint(err) != test.err {
			t.Errorf("%s: %v, and before %v, want %q", name, err, early, test.err)
		}
	}
}

// The client chooses what it sends, and in which order. It must not choose which of several
// certificates of a CA is in the chain, if the operator has one.
func TestTheChainIsTheOperators(t *testing.T) {
	root, second := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "second", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	low := testpki.NewCA(t, mid, "below", nil)
	alice, deep := mid.Leaf(t, nil), low.Leaf(t, nil)
	crossed, twin := cross(t, second, mid), testpki.Twin(t, mid, root)
	other := testpki.NewCA(t, nil, "other", nil)
	made := testpki.NewCA(t, other, "between", nil) // the name of an issuer, another key
	for name, test := range map[string]struct {
		own, sent []*testpki.Pair
		want      []*testpki.Pair // nil: refused
	}{
		"the client's intermediate":                   {nil, []*testpki.Pair{alice, mid}, []*testpki.Pair{alice, mid, root}},
		"the root too":                                {nil, []*testpki.Pair{alice, mid, root}, []*testpki.Pair{alice, mid, root}},
		"from the root to the leaf's issuer":          {nil, []*testpki.Pair{deep, root, mid, low}, []*testpki.Pair{deep, low, mid, root}},
		"from the leaf's issuer to the root":          {nil, []*testpki.Pair{deep, low, mid, root}, []*testpki.Pair{deep, low, mid, root}},
		"the same again":                              {nil, []*testpki.Pair{alice, mid, mid, mid}, []*testpki.Pair{alice, mid, root}},
		"made-up ones are left out":                   {nil, []*testpki.Pair{alice, made, other, mid}, []*testpki.Pair{alice, mid, root}},
		"only made-up ones":                           {nil, []*testpki.Pair{alice, made, other}, nil},
		"a chain of made-up ones":                     {nil, []*testpki.Pair{made.Leaf(t, nil), made, other}, nil},
		"the operator's intermediate":                 {[]*testpki.Pair{mid}, []*testpki.Pair{alice}, []*testpki.Pair{alice, mid, root}},
		"the operator's, and not its twin":            {[]*testpki.Pair{mid}, []*testpki.Pair{alice, twin}, []*testpki.Pair{alice, mid, root}},
		"the operator's, and not a cross certificate": {[]*testpki.Pair{mid}, []*testpki.Pair{alice, crossed}, []*testpki.Pair{alice, mid, root}},
		"the operator's, above one of the client's":   {[]*testpki.Pair{mid}, []*testpki.Pair{deep, crossed, twin, low}, []*testpki.Pair{deep, low, mid, root}},
		"a cross certificate alone":                   {nil, []*testpki.Pair{alice, crossed}, []*testpki.Pair{alice, crossed, second}},
		"a leaf is not an intermediate":               {nil, []*testpki.Pair{alice.Leaf(t, nil), alice, mid}, nil},
	} {
		rules := identity.ChainRules{Roots: pool(root.Cert, second.Cert), Intermediates: certsOf(test.own...), MaxSent: 5}
		chain, _, err := rules.Build(certsOf(test.sent...), time.Now())
		if (err != nil) != (test.want == nil) || !slices.EqualFunc(chain, certsOf(test.want...), (*x509.Certificate).Equal) {
			t.Errorf("%s: a chain of %d certificates, %v", name, len(chain), err)
		}
	}
}

// A certificate of X.509 version 1 is pinned as a client's or a server's own, and does not
// say that it is a CA.
func TestAVersion1CertificateIsNotACA(t *testing.T) {
	pinned := testpki.NewVersion1(t, "pinned")
	rules := identity.ChainRules{Roots: pool(pinned.Cert), MaxSent: 5}
	if chain, _, err := rules.Build(certsOf(pinned), time.Now()); err != nil || len(chain) != 1 {
		t.Errorf("the certificate itself: %v", err)
	}
	between := testpki.NewCA(t, pinned, "between", nil)
	for name, sent := range map[string][]*testpki.Pair{
		"a client's":                  {pinned.Leaf(t, nil)},
		"one with an intermediate CA": {between.Leaf(t, nil), between},
	} {
		if _, _, err := rules.Build(certsOf(sent...), time.Now()); err == nil || !strings.Contains(err.Error(), "is not a CA") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Certificates that sign each other, as many as a client may send, make x509 alone try a
// hundred signatures with keys of the client's. They may cost ten times what a good
// certificate does, which takes one signature with the operator's key.
func TestMadeUpChainsCostLittle(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	slow, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	alike := testpki.NewKey(t) // whose signatures are as long as the root's
	made := func(key crypto.Signer, subject, issuer string) (sent []*x509.Certificate) {
		by := testpki.Sign(t, nil, key, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: issuer} })
		sent = certsOf(by.Leaf(t, nil))
		for n := range 5 {
			sent = append(sent, testpki.Sign(t, by, key, func(c *x509.Certificate) {
				c.Subject, c.IsCA, c.BasicConstraintsValid = pkix.Name{CommonName: subject}, true, true
				c.KeyUsage, c.DNSNames = x509.KeyUsageCertSign, []string{fmt.Sprint(n)} // another in each, so that x509 sees no loop
			}).Cert)
		}
		return sent
	}
	cost := func(sent []*x509.Certificate) time.Duration {
		rules := identity.ChainRules{Roots: pool(root.Cert), MaxSent: 5}
		fastest := time.Hour
		for range 100 {
			begin := time.Now()
			_, _, _ = rules.Build(sent, time.Now())
			fastest = min(fastest, time.Since(begin))
		}
		return fastest
	}
	good := cost(certsOf(root.Leaf(t, nil)))
	for name, sent := range map[string][]*x509.Certificate{
		"that sign each other":       made(slow, "made-up", "made-up"),
		"in the name of the root":    made(alike, "made-up", "root"),
		"that all have the root's":   made(alike, "root", "root"),
		"for an issuer of that name": made(slow, "root", "made-up"),
	} {
		if bad := cost(sent); bad > 10*good {
			t.Errorf("certificates %s cost %v, a good one %v", name, bad, good)
		}
	}
}
