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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a certificate authority whose files are in dir. All names end in .pem
// because Caddy's own test helper rewrites paths that end in .crt or .key.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
	pem         []byte
}

// newAuthority makes a self-signed authority. Each needs its own common name: a TLS
// client chooses its certificate by the names of the authorities that the server offers.
func newAuthority(dir, name string) (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	created := &authority{dir: dir, file: filepath.Join(dir, name+".pem")}
	der, key, err := newCertificate(template, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	created.key, created.pem = key, pemBlock("CERTIFICATE", der)
	if created.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("reading %s back: %w", name, err)
	}
	return created, os.WriteFile(created.file, created.pem, 0o600)
}

// server makes a certificate for the loopback addresses.
func (a *authority) server(name string) (certFile, keyFile string, err error) {
	return a.issue(name, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// client makes a client certificate for a common name and organizations, which
// Kubernetes reads as a user and its groups.
func (a *authority) client(commonName string, organizations ...string) (certFile, keyFile string, err error) {
	return a.issue(commonName, &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName, Organization: organizations},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) issue(name string, template *x509.Certificate) (certFile, keyFile string, err error) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, key, err := newCertificate(template, a.certificate, a.key)
	if err != nil {
		return "", "", fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	certFile = filepath.Join(a.dir, name+"-cert.pem")
	if err := os.WriteFile(certFile, pemBlock("CERTIFICATE", der), 0o600); err != nil {
		return "", "", err
	}
	keyFile, err = writeKey(a.dir, name, key)
	return certFile, keyFile, err
}

// newCertificate signs with the new key itself if there is no parent.
func newCertificate(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(24 * time.Hour)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return der, key, err
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding the key of %s: %w", name, err)
	}
	file := filepath.Join(dir, name+"-key.pem")
	return file, os.WriteFile(file, pemBlock("EC PRIVATE KEY", der), 0o600)
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
