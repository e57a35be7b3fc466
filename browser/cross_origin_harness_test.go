// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

const (
	thisOrigin    = "https://dash.example.com"
	trustedOrigin = "https://portal.example.net"
)

// crossing is a client with one kind of credential, in front of a handler that takes it.
type crossing struct {
	name    string
	handler *testhandler.Handler
	dress   func(*http.Request) *http.Request
}

// newCrossings makes one client for each kind of credential. The options are for the handlers.
func newCrossings(t *testing.T, options object) []crossing {
	t.Helper()
	testhandler.Quiet(t)
	ca := testpki.NewCA(t, nil, "clients", nil)
	cert := ca.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	issuer := testissuer.New(t)
	token := issuer.Token(t, nil)
	oidc := testhandler.OIDC(issuer, object{"token_header": []string{"X-Forwarded-Id-Token"}})
	clientCert := object{"source": "client_cert", "tls": true, "trust_pool": testhandler.InlinePool(ca)}
	forwarded := object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	placeholder := object{"source": "placeholder", "user": "{http.auth.user.id}"}
	anonymous := object{"source": "anonymous"}
	has := func(field, value, peer string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request {
			r.Header.Set(field, value)
			r.RemoteAddr = peer
			return r
		}
	}
	const direct, proxy = "198.51.100.9:1", "192.0.2.1:1"
	crossings := []crossing{
		{name: "client_cert tls", dress: func(r *http.Request) *http.Request {
			r.TLS.PeerCertificates = []*x509.Certificate{cert.Cert}
			return r
		}},
		{name: "forwarded", dress: has("X-Forwarded-User", "alice", proxy)},
		{name: "placeholder", dress: func(r *http.Request) *http.Request {
			testhandler.SetPlaceholder(r, "http.auth.user.id", "alice")
			return r
		}},
		{name: "token_header of a proxy", dress: has("X-Forwarded-Id-Token", token, proxy)},
		{name: "token_header of any peer", dress: has("X-Forwarded-Id-Token", token, direct)},
		{name: "both places of a token", dress: func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", "Bearer "+token)
			return has("X-Forwarded-Id-Token", token, direct)(r)
		}},
		{name: "Authorization of the client, or that Caddy made of a cookie", dress: has("Authorization", "Bearer "+token, direct)},
		{name: "Authorization of a proxy", dress: has("Authorization", "Bearer "+token, proxy)},
		{name: "anonymous", dress: has("Accept", "*/*", direct)},
		{name: "a certificate before Authorization", dress: func(r *http.Request) *http.Request {
			r.TLS.PeerCertificates = []*x509.Certificate{cert.Cert}
			return has("Authorization", "Bearer "+token, direct)(r)
		}},
	}
	sources := map[string][]any{
		"client_cert tls": {clientCert}, "forwarded": {forwarded}, "placeholder": {placeholder}, "anonymous": {anonymous},
		"a certificate before Authorization": {clientCert, oidc},
	}
	for i := range crossings {
		c := &crossings[i]
		config := object{
			"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
			"sources":         []any{oidc},
			"injectors":       []any{object{"injector": "headers", "user": "X-User"}},
		}
		if others, ok := sources[c.name]; ok {
			config["sources"] = others
		}
		maps.Copy(config, options)
		c.handler = testhandler.Load(t, config)
	}
	return crossings
}

// crossingRequest is a request over TLS to dash.example.com. The method may also be
// "websocket", "SPDY", or "websocket h2".
func crossingRequest(method string, header http.Header) *http.Request {
	wire := method
	if strings.HasPrefix(method, "websocket") || method == "SPDY" {
		wire = http.MethodGet
	}
	r := httptest.NewRequest(wire, "https://dash.example.com/api/thing", http.NoBody)
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	r.RemoteAddr = "198.51.100.9:1"
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	switch method {
	case "websocket":
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	case "SPDY":
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{"SPDY/3.1"}
	case "websocket h2":
		r.Method, r.ProtoMajor, r.ProtoMinor, r.Proto = http.MethodConnect, 2, 0, "HTTP/2.0"
		r.Header[":protocol"] = []string{"websocket"}
	}
	return testhandler.Prepared(r)
}

// wantCrossing sends a request, and wants it to pass or to be refused.
func wantCrossing(t *testing.T, c crossing, r *http.Request, passes bool) {
	t.Helper()
	before := [][]string{r.Header["Origin"], r.Header["Sec-Fetch-Site"]}
	got := c.handler.Ask(t, c.dress(r))
	switch {
	case passes && (got.Status != http.StatusOK || got.Upstream.Get("X-User") == ""):
		t.Errorf("%s is refused: %+v", c.name, got)
	case passes:
		after := [][]string{got.Upstream["Origin"], got.Upstream["Sec-Fetch-Site"]}
		if !slices.EqualFunc(before, after, slices.Equal) {
			t.Errorf("%s: the upstream received %q of %q", c.name, after, before)
		}
	case got.Upstream != nil || got.Status != http.StatusForbidden || got.CacheControl != "no-store" || got.Location != "":
		t.Errorf("%s passes, or is refused in another way: %+v", c.name, got)
	}
}

// fetchMetadata returns the fields in which a browser says where a request comes from.
func fetchMetadata(site string, origins ...string) http.Header {
	header := make(http.Header)
	if site != "" {
		header["Sec-Fetch-Site"] = []string{site}
	}
	if len(origins) > 0 {
		header["Origin"] = origins
	}
	return header
}
