// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Pair is a certificate and its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

//nolint:gochecknoglobals // one key and one count for all certificates of a test binary
var (
	leafKey = sync.OnceValues(func() (crypto.Signer, error) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	})
	serials atomic.Int64
)

// LeafKey is the key of every leaf, since the tests tell certificates apart and not keys.
// Authorities have keys of their own.
func LeafKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := leafKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// NewKey makes a P-256 key.
func NewKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Sign signs a certificate for key by another pair (nil: the certificate itself). It is
// one of an ordinary client, alice, and valid for an hour; change, unless it is nil,
// edits it first.
func Sign(tb testing.TB, by *Pair, key crypto.Signer, change func(*x509.Certificate)) *Pair {
	tb.Helper()
	made, err := Make(by, key, change)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// Make is Sign for a party that outlives a test.
func Make(by *Pair, key crypto.Signer, change func(*x509.Certificate)) (*Pair, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + serials.Add(1)),
		Subject:      pkix.Name{CommonName: "alice", Organization: []string{"developers"}},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Cert, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Pair{cert, key}, nil
}

// Leaf signs a certificate like [Sign], by this authority and with the key of every leaf.
func (p *Pair) Leaf(tb testing.TB, change func(*x509.Certificate)) *Pair {
	tb.Helper()
	return Sign(tb, p, LeafKey(tb), change)
}

// NewCA makes an authority; by is nil for a root.
func NewCA(tb testing.TB, by *Pair, name string, change func(*x509.Certificate)) *Pair {
	tb.Helper()
	return Sign(tb, by, NewKey(tb), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		if change != nil {
			change(c)
		}
	})
}

// PEMFile writes certificates to a file for a trust_pool.
func PEMFile(tb testing.TB, pairs ...*Pair) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "cas.pem")
	if err := os.WriteFile(path, []byte(PEM(pairs...)), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// KeyFile writes the private key.
func KeyFile(tb testing.TB, p *Pair) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(KeyPEM(tb, p)), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// KeyPEM has the private key.
func KeyPEM(tb testing.TB, p *Pair) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
