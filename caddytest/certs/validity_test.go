// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func certKeys(t *testing.T) (rsa2048, rsa1024, p224, p521, ed crypto.Signer) {
	t.Helper()
	must := func(key crypto.Signer, err error) crypto.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rsaKey := func(bits int) crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		return must(key, err)
	}
	ecKey := func(curve elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		return must(key, err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	return rsaKey(2048), rsaKey(1024), ecKey(elliptic.P224()), ecKey(elliptic.P521()), must(edKey, err)
}

// A certificate in a header comes without a handshake, so the source must check
// everything, including rules that Go's Verify does not have.
func TestClientCertValidity(t *testing.T) {
	const (
		ok        = 200
		expired   = "rejected: a certificate of the chain has expired or is not yet valid"
		unknown   = "rejected: the certificate is not issued by a trusted CA"
		usage     = "rejected: the certificate is not for client authentication"
		isCA      = "rejected: the certificate is a CA certificate"
		noSigning = "rejected: the certificate's key is not for signatures"
		notRoot   = "rejected: the chain ends at a certificate that is not self-signed"
		tooMany   = "reading the certificate: malformed: more than 5 intermediates"
		mayNot    = "rejected: a CA of the chain may not issue this certificate"
	)
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	low := testpki.NewCA(t, mid, "between, below", nil)
	other, twin := testpki.NewCA(t, nil, "other", nil), testpki.NewCA(t, nil, "root", nil) // the same name, another key
	rsa2048, rsa1024, p224, p521, ed := certKeys(t)
	rsaCA := testpki.Sign(t, root, rsa2048, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "rsa"}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	})
	weakCA := testpki.Sign(t, root, rsa1024, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "weak"}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	})
	oldCA := testpki.NewCA(t, root, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	serverCA := testpki.NewCA(t, root, "servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	lastCA := testpki.NewCA(t, root, "no more below", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	belowLast := testpki.NewCA(t, lastCA, "below that", nil)
	limited := testpki.NewCA(t, root, "limited", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} })
	noCA := root.Leaf(t, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })

	good, deep, deeper := root.Leaf(t, nil), mid.Leaf(t, nil), low.Leaf(t, nil)
	self := testpki.Sign(t, nil, testpki.LeafKey(t), nil)
	bare := root.Leaf(t, func(c *x509.Certificate) { c.KeyUsage, c.ExtKeyUsage = 0, nil })
	valid := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	for1 := func(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
	}
	keyUsage := func(usage x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = usage }
	}
	dns := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = []string{name} }
	}
	// A key usage without any bit allows nothing. Go's field is then the same as without
	// the extension.
	noUsage := root.Leaf(t, func(c *x509.Certificate) {
		c.KeyUsage = 0
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 1, 0}}}
	})
	critical := root.Leaf(t, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	})
	pinned := root.Leaf(t, nil)
	namedDNS := limited.Leaf(t, dns("a.example.com"))
	server := root.Leaf(t, for1(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth))
	anyUsage := root.Leaf(t, for1(x509.ExtKeyUsageAny))
	byRSA, withP521, withEd, withRSA := rsaCA.Leaf(t, nil), testpki.Sign(t, root, p521, nil), testpki.Sign(t, root, ed, nil), testpki.Sign(t, root, rsa2048, nil)

	pool := testpki.PEMFile(t, root)
	g := certGuard(
		t,
		certBlock("root", "aws_alb", pool),
		certBlock("one", "aws_alb", pool, "max_intermediates 1"),
		certBlock("mid", "aws_alb", testpki.PEMFile(t, mid)),
		certBlock("partial", "aws_alb", testpki.PEMFile(t, mid), "allow_partial_chain"),
		certBlock("both", "aws_alb", testpki.PEMFile(t, mid, root)),
		certBlock("pinned", "aws_alb", testpki.PEMFile(t, pinned)),
		certBlock("pinned_partial", "aws_alb", testpki.PEMFile(t, pinned), "allow_partial_chain"),
	)
	sent := func(nodes ...*testpki.Pair) []string {
		return []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(nodes...)}
	}
	is := func(n *testpki.Pair) map[string][]string { return testhandler.Proves(n, "alice") }
	runCerts(t, g, []certCase{
		{"a key of ECDSA P-256", "root", sent(good), ok, "", is(good)},
		{"a key of ECDSA P-521", "root", sent(withP521), ok, "", is(withP521)},
		{"a key of RSA 2048", "root", sent(withRSA), ok, "", is(withRSA)},
		{"a CA with RSA 2048", "root", sent(byRSA, rsaCA), ok, "", is(byRSA)},
		{"a key of Ed25519", "root", sent(withEd), ok, "", is(withEd)},
		{"a key of RSA 1024", "root", sent(testpki.Sign(t, root, rsa1024, nil)), 401, "rejected: an RSA key of 1024 bits, fewer than 2048", nil},
		{"a key of ECDSA P-224", "root", sent(testpki.Sign(t, root, p224, nil)), 401, "rejected: an ECDSA key of 224 bits, fewer than 256", nil},
		{"a CA with RSA 1024", "root", sent(weakCA.Leaf(t, nil), weakCA), 401, "rejected: an RSA key of 1024 bits, fewer than 2048", nil},

		{"expired a minute ago", "root", sent(root.Leaf(t, valid(-time.Hour, -time.Minute))), 401, expired, nil},
		{"valid in a minute", "root", sent(root.Leaf(t, valid(time.Minute, time.Hour))), 401, expired, nil},
		{"an expired CA between", "root", sent(oldCA.Leaf(t, nil), oldCA), 401, expired, nil},

		{"of another CA", "root", sent(other.Leaf(t, nil)), 401, unknown, nil},
		{"of another CA that is in the chain", "root", sent(other.Leaf(t, nil), other), 401, unknown, nil},
		{"of another CA with the root's name", "root", sent(twin.Leaf(t, nil)), 401, unknown, nil},
		{"of another CA, beside the true root", "root", sent(other.Leaf(t, nil), other, root), 401, unknown, nil},
		{"self-signed", "root", sent(self), 401, unknown, nil},
		{"self-signed, with a good one after", "root", sent(self, good), 401, unknown, nil},
		{"self-signed in the name of system:masters", "root", sent(testpki.Sign(t, nil, testpki.LeafKey(t), testpki.Named(3, "admin", 10, "system:masters"))), 401, unknown, nil},
		{"signed by a client's certificate", "root", sent(good.Leaf(t, nil), good), 401, unknown, nil},
		{"signed by a client's that has the usage but is not a CA", "root", sent(noCA.Leaf(t, nil), noCA), 401, unknown, nil},

		{"for servers only", "root", sent(root.Leaf(t, for1(x509.ExtKeyUsageServerAuth))), 401, usage, nil},
		{"for servers and clients", "root", sent(server), ok, "", is(server)},
		{"for any purpose", "root", sent(anyUsage), ok, "", is(anyUsage)},
		{"without any usage", "root", sent(bare), ok, "", is(bare)},
		{"for signing code", "root", sent(root.Leaf(t, for1(x509.ExtKeyUsageCodeSigning))), 401, usage, nil},
		{"of a CA for servers", "root", sent(serverCA.Leaf(t, nil), serverCA), 401, usage, nil},
		{"a key for encryption only", "root", sent(root.Leaf(t, keyUsage(x509.KeyUsageKeyEncipherment))), 401, noSigning, nil},
		{"a key usage that allows nothing", "root", sent(noUsage), 401, noSigning, nil},
		{"an unknown critical extension", "root", sent(critical), 401, "rejected: the certificate has a critical extension that is not understood", nil},

		{"a CA for a client", "root", sent(testpki.NewCA(t, root, "alice", for1(x509.ExtKeyUsageClientAuth))), 401, isCA, nil},
		{"the root, which is public", "root", sent(root), 401, isCA, nil},
		{"an intermediate, which is public", "root", sent(mid), 401, isCA, nil},

		{"an intermediate in the chain", "root", sent(deep, mid), ok, "", is(deep)},
		{"the root in the chain too", "root", sent(deep, mid, root), ok, "", is(deep)},
		{"two intermediates", "root", sent(deeper, low, mid), ok, "", is(deeper)},
		{"two intermediates in the wrong order", "root", sent(deeper, mid, low), ok, "", is(deeper)},
		{"the root before the intermediate", "root", sent(deep, root, mid), ok, "", is(deep)},
		{"an intermediate twice", "root", sent(deep, mid, mid), ok, "", is(deep)},
		{"another's certificates in the chain", "root", sent(good, other, self), ok, "", is(good)},
		{"an intermediate is missing", "root", sent(deep), 401, unknown, nil},
		{"the upper intermediate is missing", "root", sent(deeper, low), 401, unknown, nil},
		{"the leaf is not the first", "root", sent(mid, deep), 401, isCA, nil},
		{"another's leaf is the first", "root", sent(self, deep, mid), 401, unknown, nil},
		{"more intermediates than are allowed in a header", "root", sent(slices.Insert(slices.Repeat([]*testpki.Pair{mid}, 6), 0, deep)...), 400, tooMany, nil},
		{"40 intermediates", "root", sent(slices.Insert(slices.Repeat([]*testpki.Pair{mid}, 40), 0, deep)...), 400, tooMany, nil},
		{"one intermediate, and one is allowed", "one", sent(deep, mid, root), ok, "", is(deep)},
		{"two intermediates, and one is allowed", "one", sent(deeper, low, mid), 401, "rejected: 2 intermediate certificates, more than 1", nil},
		{"below a CA that may have no CA below", "root", sent(belowLast.Leaf(t, nil), belowLast, lastCA), 401, "rejected: too many intermediates for a CA of the chain", nil},
		{"a name that its CA may give", "root", sent(namedDNS, limited), ok, "", is(namedDNS)},
		{"a name that its CA may not give", "root", sent(limited.Leaf(t, dns("a.example.net")), limited), 401, mayNot, nil},

		{"a pool with an intermediate only", "mid", sent(deep), 401, notRoot, nil},
		{"a pool with an intermediate only, and the root in the chain", "mid", sent(deep, root), 401, notRoot, nil},
		{"a partial chain that is allowed", "partial", sent(deep), ok, "", is(deep)},
		{"another branch, and partial chains are allowed", "partial", sent(good), 401, unknown, nil},
		{"the intermediate itself, and partial chains are allowed", "partial", sent(mid), 401, isCA, nil},
		{"a pool with root and intermediate", "both", sent(deep), ok, "", is(deep)},
		{"a pool with root and intermediate, and the intermediate in the chain", "both", sent(deep, mid), ok, "", is(deep)},
		{"a pool with the certificate itself", "pinned", sent(pinned), 401, notRoot, nil},
		{"a pool with the certificate itself, and partial chains", "pinned_partial", sent(pinned), ok, "", is(pinned)},
		{"a sister of the certificate in the pool", "pinned_partial", sent(good), 401, unknown, nil},
	})
}
