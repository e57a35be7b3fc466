// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/openshift"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// oauthPKI is an OAuth server and the certificates of proxies.
type oauthPKI struct {
	*openshift.Server

	ca, proxies, proxy *testpki.Pair
	caFile             string
}

func newOAuth(t *testing.T) *oauthPKI {
	t.Helper()
	p := &oauthPKI{ca: testpki.NewCA(t, nil, "ingress ca", nil), proxies: testpki.NewCA(t, nil, "proxy ca", nil)}
	p.proxy, p.caFile = p.proxies.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy")), testpki.PEMFile(t, p.ca)
	p.Server = openshift.New(t, p.ca, p.proxies)
	return p
}

// upstream is a reverse_proxy to the OAuth server, with a certificate unless it is nil.
func (p *oauthPKI) upstream(t *testing.T, proxy *testpki.Pair) string {
	t.Helper()
	certificate := ""
	if proxy != nil {
		certificate = "tls_client_auth " + testpki.PEMFile(t, proxy) + " " + testpki.KeyFile(t, proxy)
	}
	return fmt.Sprintf("reverse_proxy %s {\n transport http {\n tls_trust_pool file %s\n versions 1.1\n %s\n }\n }\n", p.URL, p.caFile, certificate)
}

// at is a site below a path.
func (p *oauthPKI) at(t *testing.T, path, before, block string, proxy *testpki.Pair) string {
	t.Helper()
	return fmt.Sprintf("handle_path /%s/* {\n route {\n %s\n kube_identity {\n trusted_proxies static %s\n %s\n inject openshift_oauth\n }\n %s }\n }\n",
		path, before, testhandler.TrustedPeer, block, p.upstream(t, proxy))
}

const (
	oauthPassword = "basic_auth {\n alice $2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC\n }\n" // "correct"
	oauthBasic    = "Authorization: Basic YWxpY2U6Y29ycmVjdA=="
	oauthByName   = "placeholder {\n user {http.auth.user.id}\n }\n"
	oauthCSRF     = "@forged not header_regexp X-Csrf-Token .\n error @forged 403\n"
)

// guard starts Caddy with the sites, and gives the OAuth server its address.
func (p *oauthPKI) guard(t *testing.T, sites ...string) *testhandler.Caddy {
	t.Helper()
	g := testhandler.Start(t, "servers {\nmax_header_size 64KB\n}", "http://:0 {\n"+strings.Join(sites, "")+"}\n")
	p.Wants("http://"+testhandler.SiteHost+"/login-proxy/oauth/authorize?${query}", "http://"+testhandler.SiteHost+"/challenging-proxy/oauth/authorize?${query}")
	return g
}

// asks sends a request to the OAuth server itself, as a client does first.
func (p *oauthPKI) asks(t *testing.T, client string, certificate *testpki.Pair, header http.Header) (status int, location string) {
	t.Helper()
	var chain []*testpki.Pair
	if certificate != nil {
		chain = append(chain, certificate)
	}
	transport := &http.Transport{TLSClientConfig: testpki.ClientTLS(p.ca, "", chain...)}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/oauth/authorize?"+openshift.Query(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Location")
}

// oauthFollow sends Caddy the request of a redirect.
func oauthFollow(t *testing.T, c *testhandler.Caddy, location string, fields ...string) testhandler.Reply {
	t.Helper()
	path, found := strings.CutPrefix(location, "http://"+testhandler.SiteHost)
	if !found {
		t.Fatalf("Location = %q, want Caddy", location)
	}
	return c.Send(t, testhandler.TrustedPeer, "GET "+path+" HTTP/1.1", fields, "")
}

// received is the whole header that arrives at the OAuth server.
func (p *oauthPKI) received(fields http.Header) http.Header {
	header := testhandler.Proxied(testhandler.TrustedPeer, fields)
	header["Host"] = []string{p.Listener.Addr().String()}
	return header
}

func forServers(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = name, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
}

func expiredAs(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.NotAfter = name, time.Now().Add(-time.Minute)
	}
}
