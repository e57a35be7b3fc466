// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"cmp"
	"crypto/tls"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// newOpenSSLPKI makes the certificates by the command line of OpenSSL.
func newOpenSSLPKI(t *testing.T) *frontPKI {
	t.Helper()
	const extensions = "[server]\nsubjectAltName = DNS:" + testhandler.SiteHost + "\n"
	p := &frontPKI{Folder: testpki.NewFolder(t)}
	root := testpki.NewOpenSSLCA(t, p.Folder, nil, "root", testpki.OpenSSLSubject{RSA: true}, extensions)
	authorities := map[string]*testpki.OpenSSLCA{
		"root": root,
		// the same name, another key
		"other": testpki.NewOpenSSLCA(t, p.Folder, nil, "other", testpki.OpenSSLSubject{DN: "/CN=root", RSA: true}, extensions),
		"inter": testpki.NewOpenSSLCA(t, p.Folder, root, "inter", testpki.OpenSSLSubject{}, extensions),
	}
	p.issue = func(t *testing.T, name string, s frontSubject) *tls.Certificate {
		t.Helper()
		dn := ""
		for _, group := range s.groups {
			dn += "/O=" + group
		}
		authorities[cmp.Or(s.by, "root")].Issue(t, name, testpki.OpenSSLSubject{
			DN: dn + "/CN=" + name, RSA: s.rsa, Usage: s.usage, NotAfter: s.notAfter,
		})
		pair, err := tls.LoadX509KeyPair(p.Path(name+".pem"), p.Path(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if s.by == "inter" {
			pair.Certificate = append(pair.Certificate, p.Cert(t, "inter").Raw)
		}
		return &pair
	}
	return p.fill(t)
}
