// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// frontPKI is a folder with root.pem, inter.pem (issued by it), other.pem (another
// root), and the front end's own certificate, and a way to issue more of them.
type frontPKI struct {
	*testpki.Folder

	roots *x509.CertPool // of the front end's certificate
	issue func(t *testing.T, name string, s frontSubject) *tls.Certificate
	made  map[string]*tls.Certificate
}

// frontSubject is the client that a certificate is for, and how the certificate is made.
type frontSubject struct {
	groups   []string
	by       string // the folder name of the issuer; "" is root
	rsa      bool
	usage    string    // server or client; "" is client
	notAfter time.Time // zero: in an hour
}

const (
	expiredName  = "expired"
	serverName   = "server-only"
	strangerName = "stranger"
)

// frontSubjects are the clients.
func frontSubjects() map[string]frontSubject {
	devs := []string{"devs", "on call"}
	return map[string]frontSubject{
		"alice":       {groups: devs},
		"roberta-rsa": {groups: devs, rsa: true},
		"igor":        {groups: devs, by: "inter"},
		"irma-rsa":    {groups: devs, by: "inter", rsa: true},
		"admin":       {groups: []string{"admins"}},
		expiredName:   {groups: devs, notAfter: time.Now().Add(-time.Hour)},
		strangerName:  {groups: devs, by: "other"},
		serverName:    {groups: devs, usage: "server"},
	}
}

// fill issues the certificates that every front end needs.
func (p *frontPKI) fill(t *testing.T) *frontPKI {
	t.Helper()
	p.roots = x509.NewCertPool()
	if !p.roots.AppendCertsFromPEM(p.Read(t, "root.pem")) {
		t.Fatal("no certificate in root.pem")
	}
	p.made = map[string]*tls.Certificate{}
	for name, s := range frontSubjects() {
		p.made[name] = p.issue(t, name, s)
	}
	server := p.issue(t, testhandler.SiteHost, frontSubject{usage: "server"})
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	p.Write(t, "server.pem", string(frontPEM(server)))
	p.Write(t, "server-key.pem", string(keyPEM))
	p.Write(t, "server-both.pem", string(slices.Concat(frontPEM(server), keyPEM)))
	p.Write(t, "both.pem", string(slices.Concat(p.Read(t, "root.pem"), p.Read(t, "other.pem"))))
	return p
}

func frontPEM(pair *tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
}

// config is that of a client with a certificate, or nil.
func (p *frontPKI) config(pair *tls.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: p.roots, ServerName: testhandler.SiteHost}
	if pair != nil { // even if the server names other authorities
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	return config
}

// newGoPKI makes the certificates by crypto/x509.
func newGoPKI(t *testing.T) *frontPKI {
	t.Helper()
	root := testpki.NewCA(t, nil, "root", nil)
	authorities := map[string]*testpki.Pair{
		"root":  root,
		"other": testpki.NewCA(t, nil, "root", nil), // the same name, another key
		"inter": testpki.NewCA(t, root, "inter", nil),
	}
	p := &frontPKI{Folder: testpki.NewFolder(t)}
	for name, ca := range authorities {
		p.Write(t, name+".pem", testpki.PEM(ca))
	}
	p.issue = func(t *testing.T, name string, s frontSubject) *tls.Certificate {
		t.Helper()
		by := authorities[cmp.Or(s.by, "root")]
		node := frontLeaf(t, by, name, s)
		pair := &tls.Certificate{Certificate: [][]byte{node.Cert.Raw}, PrivateKey: node.Key, Leaf: node.Cert}
		if s.by == "inter" {
			pair.Certificate = append(pair.Certificate, by.Cert.Raw)
		}
		return pair
	}
	return p.fill(t)
}

func frontLeaf(t *testing.T, by *testpki.Pair, name string, s frontSubject) *testpki.Pair {
	t.Helper()
	key := testpki.LeafKey(t)
	if s.rsa {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	return testpki.Sign(t, by, key, func(c *x509.Certificate) {
		var subject []any
		for _, group := range s.groups {
			subject = append(subject, 10, group)
		}
		testpki.Named(append(subject, 3, name)...)(c)
		if !s.notAfter.IsZero() {
			c.NotBefore, c.NotAfter = s.notAfter.Add(-time.Hour), s.notAfter
		}
		if s.usage == "server" {
			c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{testhandler.SiteHost}
		}
	})
}
