// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// The files of the PKI: the CA, and the certificate and key of Caddy and of the upstream.
const (
	caFile   = "ca.pem"
	certFile = "server.pem"
	keyFile  = "server-key.pem"
)

// pki has a CA, and a certificate of the servers.
type pki struct {
	ca     *testpki.Pair
	server certificate
}

type certificate struct{ *testpki.Pair }

func (c certificate) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.Cert.Raw}, PrivateKey: c.Key}
}

// newPKI makes the certificates, and writes the files.
func newPKI(dir string) (*pki, error) {
	ca, err := makeCertificate(nil, asCA("bench", ""))
	if err != nil {
		return nil, err
	}
	p := &pki{ca: ca.Pair}
	if p.server, err = makeCertificate(ca.Pair, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(p.server.Key)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		caFile: testpki.PEM(ca.Pair), certFile: testpki.PEM(p.server.Pair),
		keyFile: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// user makes the certificate of a user, whose groups are its organizations.
func (p *pki) user(name string, groups []string) (certificate, error) {
	return makeCertificate(p.ca, func(c *x509.Certificate) {
		c.Subject.CommonName, c.Subject.Organization = name, groups
	})
}

func (p *pki) clientTLS() *tls.Config { return testpki.ClientTLS(p.ca, "localhost") }

// makeCertificate makes one with a key of its own, that outlives a measurement.
func makeCertificate(by *testpki.Pair, change func(*x509.Certificate)) (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	made, err := testpki.Make(by, key, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(lifetime)
		change(c)
	})
	return certificate{made}, err
}
