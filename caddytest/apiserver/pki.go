// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// authority is a certificate authority whose files are in dir. All names end in .pem
// because Caddy's own test helper rewrites paths that end in .crt or .key.
type authority struct {
	dir  string
	pair *testpki.Pair
	file string
	pem  []byte
}

// newAuthority makes a self-signed authority. Each needs its own common name: a TLS
// client chooses its certificate by the names of the authorities that the server offers.
func newAuthority(dir, name string) (*authority, error) {
	pair, _, err := newCertificate(nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	})
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	created := &authority{dir, pair, filepath.Join(dir, name+".pem"), []byte(testpki.PEM(pair))}
	return created, os.WriteFile(created.file, created.pem, 0o600)
}

// server makes a certificate for the loopback addresses.
func (a *authority) server(name string) (certFile, keyFile string, err error) {
	return a.issue(name, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.DNSNames = []string{"localhost", "kubernetes.default.svc"}
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
}

// client makes a client certificate for a common name and organizations, which
// Kubernetes reads as a user and its groups.
func (a *authority) client(commonName string, organizations ...string) (certFile, keyFile string, err error) {
	return a.issue(commonName, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: commonName, Organization: organizations}
	})
}

func (a *authority) issue(name string, change func(*x509.Certificate)) (certFile, keyFile string, err error) {
	pair, key, err := newCertificate(a.pair, change)
	if err != nil {
		return "", "", fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	certFile = filepath.Join(a.dir, name+"-cert.pem")
	if err := os.WriteFile(certFile, []byte(testpki.PEM(pair)), 0o600); err != nil {
		return "", "", err
	}
	keyFile, err = writeKey(a.dir, name, key)
	return certFile, keyFile, err
}

// newCertificate makes a certificate with a new key. It signs itself if by is nil.
func newCertificate(by *testpki.Pair, change func(*x509.Certificate)) (*testpki.Pair, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	pair, err := testpki.Make(by, key, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(24 * time.Hour)
		change(c)
	})
	return pair, key, err
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding the key of %s: %w", name, err)
	}
	file := filepath.Join(dir, name+"-key.pem")
	return file, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
