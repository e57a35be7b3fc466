// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// frontOpenSSL is an authority as in the manual page of openssl-ca.
const frontOpenSSL = `
[ca]
[root]
certificate = root.pem
private_key = root.key
database = root.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
[inter]
certificate = inter.pem
private_key = inter.key
database = inter.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
[other]
certificate = other.pem
private_key = other.key
database = other.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
[server]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:` + testhandler.SiteHost + `
`

// newOpenSSLPKI makes the certificates by the command line of OpenSSL.
func newOpenSSLPKI(t *testing.T) *frontPKI {
	t.Helper()
	p := &frontPKI{Folder: testpki.NewFolder(t)}
	p.Write(t, "openssl.cnf", frontOpenSSL)
	for _, name := range []string{"root", "inter", "other"} {
		p.Write(t, name+".txt", "")
	}
	for _, name := range []string{"root", "other"} {
		p.OpenSSL(t, "req", "-config", "openssl.cnf", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
			"-keyout", name+".key", "-out", name+".pem", "-subj", "/CN=root", "-extensions", "authority")
	}
	p.sign(t, "inter", "/CN=inter", frontSubject{usage: "authority"})
	p.issue = func(t *testing.T, name string, s frontSubject) *tls.Certificate {
		t.Helper()
		dn := ""
		for _, group := range s.groups {
			dn += "/O=" + group
		}
		p.sign(t, name, dn+"/CN="+name, s)
		pair, err := tls.LoadX509KeyPair(p.Path(name+".pem"), p.Path(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if s.by == "inter" {
			block, _ := pem.Decode(p.Read(t, "inter.pem"))
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
		return &pair
	}
	return p.fill(t)
}

// sign makes a key, a request and, from it, a certificate.
func (p *frontPKI) sign(t *testing.T, name, dn string, s frontSubject) {
	t.Helper()
	const layout = "060102150405Z"
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
	if s.rsa {
		key = []string{"-newkey", "rsa:2048"}
	}
	p.OpenSSL(t, append([]string{
		"req", "-config", "openssl.cnf", "-new", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", dn,
	}, key...)...)
	end := s.notAfter
	if end.IsZero() {
		end = time.Now().Add(time.Hour)
	}
	p.OpenSSL(t, "ca", "-config", "openssl.cnf", "-name", cmp.Or(s.by, "root"), "-batch", "-notext", "-preserveDN",
		"-in", name+".csr", "-out", name+".pem", "-extensions", cmp.Or(s.usage, "client"),
		"-startdate", time.Now().Add(-48*time.Hour).UTC().Format(layout), "-enddate", end.UTC().Format(layout))
}
