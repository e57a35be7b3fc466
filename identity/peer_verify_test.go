// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// issuer is a certificate with its key.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate signed by i, or a self-signed one if i is nil.
func (i *issuer) issue(tb testing.TB, template x509.Certificate) *issuer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = now().Add(-time.Hour), now().Add(time.Hour)
	}
	if i == nil {
		i = &issuer{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, i.cert, key.Public(), i.key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &issuer{cert, key}
}

func now() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC) }

func authority(name string) x509.Certificate {
	return x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func leaf(subject pkix.Name, usages ...x509.ExtKeyUsage) x509.Certificate {
	return x509.Certificate{Subject: subject, ExtKeyUsage: usages, KeyUsage: x509.KeyUsageDigitalSignature}
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
}

func TestVerifyProxy(t *testing.T) {
	const client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
	named := func(names ...any) (subject pkix.Name) {
		for _, name := range names {
			subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: commonName, Value: name})
		}
		return subject
	}
	var self *issuer
	root := self.issue(t, authority("proxies"))
	other := self.issue(t, authority("proxies")) // same name, other key
	intermediate := root.issue(t, authority("intermediate"))
	old := leaf(pkix.Name{CommonName: "front"}, client)
	old.NotBefore, old.NotAfter = now().Add(-2*time.Hour), now().Add(-time.Second)
	early := leaf(pkix.Name{CommonName: "front"}, client)
	early.NotBefore, early.NotAfter = now().Add(time.Second), now().Add(time.Hour)
	fromOther := other.issue(t, leaf(pkix.Name{CommonName: "front"}, client)).cert
	fromIntermediate := intermediate.issue(t, leaf(pkix.Name{CommonName: "front"}, client)).cert
	frontKey := root.issue(t, leaf(pkix.Name{CommonName: "front"}, client))
	front := frontKey.cert
	long := root.issue(t, leaf(pkix.Name{CommonName: strings.Repeat("x", 4000) + "\n"}, client)).cert

	tests := []struct {
		name    string
		chain   []*x509.Certificate
		roots   *x509.CertPool
		allowed []string
		err     string // part of it
	}{
		{"a certificate of the CA is good", []*x509.Certificate{front}, pool(root.cert), nil, ""},
		{"an allowed name is good", []*x509.Certificate{front}, pool(root.cert), []string{"back", "front"}, ""},
		{"both usages are good", []*x509.Certificate{root.issue(t, leaf(named("x"), server, client)).cert}, pool(root.cert), nil, ""},
		{"any usage is good", []*x509.Certificate{root.issue(t, leaf(named("x"), x509.ExtKeyUsageAny)).cert}, pool(root.cert), nil, ""},
		{"the peer may send an intermediate", []*x509.Certificate{fromIntermediate, intermediate.cert}, pool(root.cert), nil, ""},
		{"the pool may have several CAs", []*x509.Certificate{fromOther}, pool(root.cert, other.cert), nil, ""},

		{"no certificate", nil, pool(root.cert), nil, "no TLS client certificate"},
		{"an empty chain", []*x509.Certificate{}, pool(root.cert), nil, "no TLS client certificate"},
		// x509 takes nil for the system's roots: every public CA could make a proxy (CVE-2026-27586)
		{"no roots", []*x509.Certificate{front}, nil, nil, "no roots"},
		{"an empty pool", []*x509.Certificate{front}, pool(), nil, "unknown authority"},
		{"another CA of the same name", []*x509.Certificate{fromOther}, pool(root.cert), nil, "unknown authority"},
		{
			"a root that the peer sends is not trusted",
			[]*x509.Certificate{fromOther, other.cert},
			pool(root.cert), nil, "unknown authority",
		},
		{"an intermediate that is missing", []*x509.Certificate{fromIntermediate}, pool(root.cert), nil, "unknown authority"},
		{
			"a good certificate that is not the first",
			[]*x509.Certificate{fromOther, front},
			pool(root.cert), nil, "unknown authority",
		},
		{
			"a leaf is not a CA",
			[]*x509.Certificate{frontKey.issue(t, leaf(named("x"), client)).cert, front},
			pool(root.cert), nil, "unknown authority",
		},
		{
			"a server's certificate, which every pod may have",
			[]*x509.Certificate{root.issue(t, leaf(pkix.Name{CommonName: "front"}, server)).cert},
			pool(root.cert), nil, "incompatible key usage",
		},
		{"expired", []*x509.Certificate{root.issue(t, old).cert}, pool(root.cert), nil, "expired"},
		{"not valid yet", []*x509.Certificate{root.issue(t, early).cert}, pool(root.cert), nil, "not yet valid"},

		{"another name", []*x509.Certificate{front}, pool(root.cert), []string{"back"}, `"front", which is not allowed`},
		{"case matters", []*x509.Certificate{front}, pool(root.cert), []string{"Front"}, "not allowed"},
		{"a longer name", []*x509.Certificate{front}, pool(root.cert), []string{"fron", "front2", "front*"}, "not allowed"},
		{
			// Go takes the last one, other libraries the first (CVE-2026-47838)
			"two common names, the last of which is allowed",
			[]*x509.Certificate{root.issue(t, leaf(named("eve", "front"), client)).cert},
			pool(root.cert),
			[]string{"front"},
			"2 common names",
		},
		{
			"the same twice",
			[]*x509.Certificate{root.issue(t, leaf(named("front", "front"), client)).cert},
			pool(root.cert),
			[]string{"front"},
			"2 common names",
		},
		{
			"no common name",
			[]*x509.Certificate{root.issue(t, leaf(pkix.Name{Organization: []string{"front"}}, client)).cert},
			pool(root.cert),
			[]string{"front"},
			"0 common names",
		},
		{
			"two names are good if none is asked for",
			[]*x509.Certificate{root.issue(t, leaf(named("eve", "front"), client)).cert},
			pool(root.cert), nil, "",
		},
		{"a name for the log is bounded", []*x509.Certificate{long}, pool(root.cert), []string{"front"}, "(4001 bytes)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := identity.VerifyProxy(test.chain, test.roots, test.allowed, now())
			switch {
			case test.err == "" && err != nil:
				t.Error(err)
			case test.err != "" && err == nil:
				t.Error("not refused")
			case test.err != "" && !strings.Contains(err.Error(), test.err):
				t.Errorf("%v does not say %q", err, test.err)
			case err != nil && (len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n")):
				t.Errorf("%q is not one line of a log", err)
			}
		})
	}
}
