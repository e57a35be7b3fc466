// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func now() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC) }

// authority makes an authority that is valid around now; by is nil for a root.
func authority(tb testing.TB, by *testpki.Pair, name string) *testpki.Pair {
	tb.Helper()
	return testpki.NewCA(tb, by, name, aroundNow)
}

// proxy makes the certificate of a proxy, which is valid around now.
func proxy(tb testing.TB, by *testpki.Pair, subject pkix.Name, usages ...x509.ExtKeyUsage) *testpki.Pair {
	tb.Helper()
	return by.Leaf(tb, func(c *x509.Certificate) {
		aroundNow(c)
		c.Subject, c.ExtKeyUsage = subject, usages
	})
}

func aroundNow(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = now().Add(-time.Hour), now().Add(time.Hour)
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
}

func TestProxyRulesVerify(t *testing.T) {
	const client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
	named := func(names ...any) (subject pkix.Name) {
		for _, name := range names {
			subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: commonName, Value: name})
		}
		return subject
	}
	root := authority(t, nil, "proxies")
	other := authority(t, nil, "proxies") // same name, other key
	intermediate := authority(t, root, "intermediate")
	valid := func(from, to time.Duration) *x509.Certificate {
		return root.Leaf(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now().Add(from), now().Add(to) }).Cert
	}
	fromOther := proxy(t, other, pkix.Name{CommonName: "front"}, client).Cert
	fromIntermediate := proxy(t, intermediate, pkix.Name{CommonName: "front"}, client).Cert
	frontPair := proxy(t, root, pkix.Name{CommonName: "front"}, client)
	front := frontPair.Cert
	long := proxy(t, root, pkix.Name{CommonName: strings.Repeat("x", 4000) + "\n"}, client).Cert

	tests := []struct {
		name    string
		chain   []*x509.Certificate
		roots   *x509.CertPool
		allowed []string
		err     string // part of it
	}{
		{"a certificate of the CA is good", []*x509.Certificate{front}, pool(root.Cert), nil, ""},
		{"an allowed name is good", []*x509.Certificate{front}, pool(root.Cert), []string{"back", "front"}, ""},
		{"both usages are good", []*x509.Certificate{proxy(t, root, named("x"), server, client).Cert}, pool(root.Cert), nil, ""},
		{"any usage is good", []*x509.Certificate{proxy(t, root, named("x"), x509.ExtKeyUsageAny).Cert}, pool(root.Cert), nil, ""},
		{"the peer may send an intermediate", []*x509.Certificate{fromIntermediate, intermediate.Cert}, pool(root.Cert), nil, ""},
		{"the pool may have several CAs", []*x509.Certificate{fromOther}, pool(root.Cert, other.Cert), nil, ""},

		{"no certificate", nil, pool(root.Cert), nil, "no TLS client certificate"},
		{"an empty chain", []*x509.Certificate{}, pool(root.Cert), nil, "no TLS client certificate"},
		// x509 takes nil for the system's roots: every public CA could make a proxy (CVE-2026-27586)
		{"no roots", []*x509.Certificate{front}, nil, nil, "no roots"},
		{"an empty pool", []*x509.Certificate{front}, pool(), nil, "not issued by a trusted CA"},
		{"another CA of the same name", []*x509.Certificate{fromOther}, pool(root.Cert), nil, "not issued by a trusted CA"},
		{
			"a root that the peer sends is not trusted",
			[]*x509.Certificate{fromOther, other.Cert},
			pool(root.Cert), nil, "not issued by a trusted CA",
		},
		{"an intermediate that is missing", []*x509.Certificate{fromIntermediate}, pool(root.Cert), nil, "not issued by a trusted CA"},
		{
			"a good certificate that is not the first",
			[]*x509.Certificate{fromOther, front},
			pool(root.Cert), nil, "not issued by a trusted CA",
		},
		{
			"a leaf is not a CA",
			[]*x509.Certificate{proxy(t, frontPair, named("x"), client).Cert, front},
			pool(root.Cert), nil, "not issued by a trusted CA",
		},
		{
			"a server's certificate, which every pod may have",
			[]*x509.Certificate{proxy(t, root, pkix.Name{CommonName: "front"}, server).Cert},
			pool(root.Cert), nil, "not for client authentication",
		},
		{"expired", []*x509.Certificate{valid(-2*time.Hour, -time.Second)}, pool(root.Cert), nil, "has expired or is not yet valid"},
		{"not valid yet", []*x509.Certificate{valid(time.Second, time.Hour)}, pool(root.Cert), nil, "has expired or is not yet valid"},

		{"another name", []*x509.Certificate{front}, pool(root.Cert), []string{"back"}, `"front", which is not allowed`},
		{"case matters", []*x509.Certificate{front}, pool(root.Cert), []string{"Front"}, "not allowed"},
		{"a longer name", []*x509.Certificate{front}, pool(root.Cert), []string{"fron", "front2", "front*"}, "not allowed"},
		{
			// Go takes the last one, other libraries the first (CVE-2026-47838)
			"two common names, the last of which is allowed",
			[]*x509.Certificate{proxy(t, root, named("eve", "front"), client).Cert},
			pool(root.Cert),
			[]string{"front"},
			"2 common names",
		},
		{
			"the same twice",
			[]*x509.Certificate{proxy(t, root, named("front", "front"), client).Cert},
			pool(root.Cert),
			[]string{"front"},
			"2 common names",
		},
		{
			"no common name",
			[]*x509.Certificate{proxy(t, root, pkix.Name{Organization: []string{"front"}}, client).Cert},
			pool(root.Cert),
			[]string{"front"},
			"0 common names",
		},
		{
			"two names are good if none is asked for",
			[]*x509.Certificate{proxy(t, root, named("eve", "front"), client).Cert},
			pool(root.Cert), nil, "",
		},
		{"a name for the log is bounded", []*x509.Certificate{long}, pool(root.Cert), []string{"front"}, "(4001 bytes)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules := identity.ProxyRules{Roots: test.roots, Names: test.allowed}
			_, err := rules.Verify(test.chain, now())
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
