// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"cmp"
	"fmt"
	"testing"
	"time"
)

// openSSLConfig has %[1]s for the authority's name.
const openSSLConfig = `
[ca]
default_ca = authority_files
[authority_files]
certificate = %[1]s.pem
private_key = %[1]s.key
database = %[1]s.txt
crlnumber = %[1]s.number
rand_serial = yes
new_certs_dir = .
default_md = sha256
default_crl_days = 7
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
[responder]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
`

// OpenSSLCA is an authority as in the manual page of openssl-ca. The files of its folder
// have its name: its certificate (.pem), key (.key), configuration (.cnf) and database
// (.txt). Several authorities may share a folder.
type OpenSSLCA struct {
	*Folder

	name string
}

// OpenSSLSubject is the party that a certificate of an [OpenSSLCA] is for.
type OpenSSLSubject struct {
	DN       string    // as openssl-req reads it; "" is the common name of the files
	RSA      bool      // a key of 2048 bits, not one of P-256
	Usage    string    // authority, client, server or responder; "" is client
	NotAfter time.Time // zero: in an hour
}

// NewOpenSSLCA makes an authority; by is nil for a root. Lines in extensions are added to
// the configuration, below the usage that they are for, such as "[client]".
func NewOpenSSLCA(tb testing.TB, folder *Folder, by *OpenSSLCA, name string, s OpenSSLSubject, extensions string) *OpenSSLCA {
	tb.Helper()
	ca := &OpenSSLCA{folder, name}
	ca.Write(tb, name+".cnf", fmt.Sprintf(openSSLConfig, name)+extensions)
	ca.Write(tb, name+".number", "1000\n")
	ca.ForgetAll(tb)
	s.Usage = "authority"
	if by != nil {
		by.Issue(tb, name, s)
	} else {
		ca.sign(tb, name, s, "-selfsign")
	}
	return ca
}

// Issue makes a key and a certificate, which the authority records in its database. Their
// files are name.key and name.pem.
func (ca *OpenSSLCA) Issue(tb testing.TB, name string, s OpenSSLSubject) {
	tb.Helper()
	ca.sign(tb, name, s)
}

func (ca *OpenSSLCA) sign(tb testing.TB, name string, s OpenSSLSubject, args ...string) {
	tb.Helper()
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
	if s.RSA {
		key = []string{"-newkey", "rsa:2048"}
	}
	ca.OpenSSL(tb, append([]string{
		"req", "-config", ca.name + ".cnf", "-new", "-nodes", "-keyout", name + ".key", "-out", name + ".csr",
		"-subj", cmp.Or(s.DN, "/CN="+name),
	}, key...)...)
	const layout = "060102150405Z"
	end := s.NotAfter
	if end.IsZero() {
		end = time.Now().Add(time.Hour)
	}
	ca.run(tb, append([]string{
		"-batch", "-notext", "-preserveDN", "-in", name + ".csr", "-out", name + ".pem", "-extensions", cmp.Or(s.Usage, "client"),
		"-startdate", time.Now().Add(-48 * time.Hour).UTC().Format(layout), "-enddate", end.UTC().Format(layout),
	}, args...)...)
}

// Revoke records that the key of a certificate is compromised.
func (ca *OpenSSLCA) Revoke(tb testing.TB, name string) {
	tb.Helper()
	ca.run(tb, "-revoke", name+".pem", "-crl_reason", "keyCompromise")
}

// List writes the list of revoked certificates to the authority's .crl file.
func (ca *OpenSSLCA) List(tb testing.TB) {
	tb.Helper()
	ca.run(tb, "-gencrl", "-out", ca.name+".crl")
}

// ForgetAll empties the database, so that earlier certificates are unknown.
func (ca *OpenSSLCA) ForgetAll(tb testing.TB) {
	tb.Helper()
	ca.Write(tb, ca.name+".txt", "")
}

// run runs openssl-ca.
func (ca *OpenSSLCA) run(tb testing.TB, args ...string) {
	tb.Helper()
	ca.OpenSSL(tb, append([]string{"ca", "-config", ca.name + ".cnf"}, args...)...)
}
