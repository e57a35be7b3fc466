// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// authority is a certificate and its key; it can sign other certificates.
type authority struct{ *testpki.Pair }

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	return issue(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// issue makes a certificate from a template; without an authority it is signed by its own
// key.
func issue(t *testing.T, by *authority, template *x509.Certificate) *authority {
	t.Helper()
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-2 * time.Hour)
	var parent *testpki.Pair
	if by != nil {
		parent = by.Pair
	}
	return &authority{testpki.Sign(t, parent, testpki.NewKey(t), func(c *x509.Certificate) {
		template.SerialNumber = c.SerialNumber
		*c = *template
	})}
}

// client issues a certificate for a TLS client with these common names.
func (a *authority) client(t *testing.T, usage x509.ExtKeyUsage, notAfter time.Time, names ...string) *authority {
	t.Helper()
	var subject pkix.Name
	for _, name := range names {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name})
	}
	return issue(t, a, &x509.Certificate{
		Subject: subject, NotAfter: notAfter, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"},
	})
}

// write writes certificate and key into files.
func (a *authority) write(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	return testpki.PEMFile(t, a.Pair), testpki.KeyFile(t, a.Pair)
}

// secured is a site over TLS that asks for a client certificate and does not verify it, with
// a kube_identity with the options in trust.
func secured(t *testing.T, ca *authority, trust string) string {
	t.Helper()
	certFile, keyFile := ca.client(t, x509.ExtKeyUsageServerAuth, time.Time{}, "localhost").write(t)
	site := trusting(t, trust, `tls `+certFile+` `+keyFile+` {
		client_auth {
			mode request
		}
	}`)
	return strings.Replace(site, "http://:0", "https://localhost:0", 1)
}

// certSite is a guarded site whose peers show certificates.
type certSite struct {
	*testhandler.Guarded

	ca *authority
}

// as sends a request from a peer with a certificate, and checks that the peer is trusted, or
// the reason why not.
func (s *certSite) as(t *testing.T, from string, chain []*authority, reason string) {
	t.Helper()
	var pairs []*testpki.Pair
	for _, a := range chain {
		pairs = append(pairs, a.Pair)
	}
	config := testpki.ClientTLS(s.ca.Pair, "localhost", pairs...)
	config.NextProtos = []string{"http/1.1"}
	conn := tls.Client(s.Dial(t, from), config)
	var want http.Header
	if reason == "" {
		want = testhandler.And(testhandler.As("alice"), "X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost", "Host", "localhost")
	}
	checkOn(t, s.Guarded, conn, "localhost", want, []string{from}, reason)
}

// TestTrustedProxyCert: OpenShift's RequestHeader identity provider and kube-apiserver's
// --requestheader-client-ca-file. The listener verifies nothing (client_auth request), as it
// would if a policy were missing, or were selected by another name.
func TestTrustedProxyCert(t *testing.T) {
	const (
		clientAuth = x509.ExtKeyUsageClientAuth
		dropped    = "no credential: fields dropped from a peer that is not trusted: 1: "
		verifying  = dropped + `verifying the peer's TLS client certificate: `
		unknown    = verifying + "the certificate is not issued by a trusted CA"
		expired    = verifying + "a certificate of the chain has expired or is not yet valid"
		proxyName  = "oauth-proxy"
	)
	ca, other := newAuthority(t, "proxies"), newAuthority(t, "others")
	twin := newAuthority(t, "proxies") // the same name, another key
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	good := ca.client(t, clientAuth, later, proxyName)
	intermediate := issue(t, ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	self := issue(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: proxyName}, ExtKeyUsage: []x509.ExtKeyUsage{clientAuth}})
	caFile, _ := ca.write(t)
	cert := `trusted_proxy_cert {
		trust_pool file ` + caFile + `
		allowed_names ` + proxyName + ` another
	}`
	cases := []struct {
		name   string
		chain  []*authority
		reason string
	}{
		{"the right name of the right authority", []*authority{good}, ""},
		{"another right name", []*authority{ca.client(t, clientAuth, later, "another")}, ""},
		{"any usage", []*authority{ca.client(t, x509.ExtKeyUsageAny, later, proxyName)}, ""},
		{"an intermediate between", []*authority{intermediate.client(t, clientAuth, later, proxyName), intermediate}, ""},
		{"no certificate", nil, dropped + "the peer has no TLS client certificate"},
		{"another name", []*authority{ca.client(t, clientAuth, later, "mallory")}, dropped + `the peer's TLS client certificate has common name "mallory", which is not allowed`},
		{"a name in another case", []*authority{ca.client(t, clientAuth, later, "OAuth-Proxy")}, dropped + `the peer's TLS client certificate has common name "OAuth-Proxy", which is not allowed`},
		{"a name that only begins so", []*authority{ca.client(t, clientAuth, later, "oauth-proxy.evil")}, dropped + `the peer's TLS client certificate has common name "oauth-proxy.evil", which is not allowed`},
		{"a name with a NUL", []*authority{ca.client(t, clientAuth, later, "oauth-proxy\x00.evil")}, dropped + `the peer's TLS client certificate has common name "oauth-proxy\x00.evil", which is not allowed`},
		{"the right name first of two", []*authority{ca.client(t, clientAuth, later, proxyName, "mallory")}, dropped + "the peer's TLS client certificate has 2 common names"},
		{"the right name last of two", []*authority{ca.client(t, clientAuth, later, "mallory", proxyName)}, dropped + "the peer's TLS client certificate has 2 common names"},
		{"the right name in the wrong place", []*authority{ca.client(t, clientAuth, later)}, dropped + "the peer's TLS client certificate has 0 common names"},
		{"another authority", []*authority{other.client(t, clientAuth, later, proxyName)}, unknown},
		{"another authority that sends its own certificate too", []*authority{other.client(t, clientAuth, later, proxyName), other}, unknown},
		{"signed by itself", []*authority{self}, unknown},
		{"signed by itself, with a good one after", []*authority{self, good, ca}, unknown},
		{"an intermediate that is missing", []*authority{intermediate.client(t, clientAuth, later, proxyName)}, unknown},
		{"signed by a leaf", []*authority{good.client(t, clientAuth, later, proxyName), good}, unknown},
		{"another authority of the same name", []*authority{twin.client(t, clientAuth, later, proxyName)}, unknown},
		{"expired", []*authority{ca.client(t, clientAuth, past, proxyName)}, expired},
		{"not yet valid", []*authority{ca.client(t, clientAuth, time.Now().Add(3*time.Hour), proxyName)}, expired},
		{"for servers only", []*authority{ca.client(t, x509.ExtKeyUsageServerAuth, later, proxyName)}, verifying + "the certificate is not for client authentication"},
	}
	t.Run("alone", func(t *testing.T) {
		site := &certSite{testhandler.Guard(t, "", secured(t, ca, cert)), ca}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { site.as(t, testhandler.StrangerPeer, c.chain, c.reason) })
		}
	})
	t.Run("with ranges both must hold", func(t *testing.T) {
		site := &certSite{testhandler.Guard(t, "", secured(t, ca, "trusted_proxies static "+testhandler.TrustedPeer+"\n"+cert)), ca}
		site.as(t, testhandler.TrustedPeer, []*authority{good}, "")
		site.as(t, testhandler.StrangerPeer, []*authority{good}, testhandler.FromUntrusted)
		site.as(t, testhandler.TrustedPeer, nil, dropped+"the peer has no TLS client certificate")
		site.as(t, testhandler.TrustedPeer, []*authority{self}, unknown)
		site.as(t, testhandler.StrangerPeer, nil, testhandler.FromUntrusted)
	})
	t.Run("any name of the authority", func(t *testing.T) {
		site := &certSite{testhandler.Guard(t, "", secured(t, ca, "trusted_proxy_cert {\ntrust_pool file "+caFile+"\n}")), ca}
		site.as(t, testhandler.StrangerPeer, []*authority{ca.client(t, clientAuth, later, "a", "b")}, "")
		site.as(t, testhandler.StrangerPeer, []*authority{self}, unknown)
	})
}
