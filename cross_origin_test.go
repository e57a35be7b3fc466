// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	thisOrigin    = "https://dash.example.com"
	trustedOrigin = "https://portal.example.net"
)

// crossing is a client with one kind of credential, in front of a handler that takes it.
type crossing struct {
	name     string
	explicit bool // the client itself put the credential into the request
	handler  caddyhttp.MiddlewareHandler
	dress    func(*http.Request) *http.Request
}

// newCrossings makes one client for each kind of credential; options are of the handlers.
func newCrossings(t *testing.T, options map[string]any) []crossing {
	t.Helper()
	ctx := quietCaddy(t)
	ca := newCA(t, "clients")
	cert := newTestCert(t, ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: "alice"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}).cert
	oidc, token := crossIssuer(t)
	oidc["token_header"] = []string{"X-Forwarded-Id-Token"}
	clientCert := map[string]any{"source": "client_cert", "tls": true, "trust_pool": inlinePool(ca.cert)}
	forwarded := map[string]any{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	placeholder := map[string]any{"source": "placeholder", "user": "{http.auth.user.id}"}
	anonymous := map[string]any{"source": "anonymous"}
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
			r.TLS.PeerCertificates = []*x509.Certificate{cert}
			return r
		}},
		{name: "forwarded", dress: has("X-Forwarded-User", "alice", proxy)},
		{name: "placeholder", dress: func(r *http.Request) *http.Request {
			r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", "alice")
			return r
		}},
		{name: "token_header of a proxy", dress: has("X-Forwarded-Id-Token", token, proxy)},
		{name: "token_header of anybody", dress: has("X-Forwarded-Id-Token", token, direct)},
		{name: "both places of a token", dress: func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", "Bearer "+token)
			return has("X-Forwarded-Id-Token", token, direct)(r)
		}},
		{name: "Authorization of the client", explicit: true, dress: has("Authorization", "Bearer "+token, direct)},
		{name: "Authorization of a proxy", dress: has("Authorization", "Bearer "+token, proxy)},
		{name: "anonymous", explicit: true, dress: has("Accept", "*/*", direct)},
		{name: "a certificate before Authorization", dress: func(r *http.Request) *http.Request {
			r.TLS.PeerCertificates = []*x509.Certificate{cert}
			return has("Authorization", "Bearer "+token, direct)(r)
		}},
	}
	sources := map[string][]any{
		"client_cert tls": {clientCert}, "forwarded": {forwarded}, "placeholder": {placeholder}, "anonymous": {anonymous},
		"a certificate before Authorization": {clientCert, oidc},
	}
	for i := range crossings {
		c := &crossings[i]
		config := map[string]any{
			"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"192.0.2.0/24"}},
			"sources":         []any{oidc},
			"injectors":       []any{map[string]any{"injector": "headers", "user": "X-User"}},
		}
		if others, ok := sources[c.name]; ok {
			config["sources"] = others
		}
		maps.Copy(config, options)
		var err error
		if c.handler, err = loadedHandler(t, ctx, config); err != nil {
			t.Fatal(err)
		}
	}
	return crossings
}

// crossIssuer is a source of the kind oidc, and a token that it takes.
func crossIssuer(t *testing.T) (source map[string]any, token string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"iss": "https://idp.example.com", "aud": "a", "sub": "alice", "exp": 32503680000}`))
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signed.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"source": "oidc", "issuer": "https://idp.example.com", "audience": []string{"a"}, "jwks_file": path, "username_prefix": "-",
	}, token
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
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
}

// wantCrossing sends a request, and tells what is wrong with what becomes of it.
func wantCrossing(t *testing.T, c crossing, r *http.Request, passes bool) {
	t.Helper()
	before := [][]string{r.Header["Origin"], r.Header["Sec-Fetch-Site"]}
	got := askHandler(t, c.handler, c.dress(r))
	switch {
	case passes && (got.status != http.StatusOK || got.upstream.Get("X-User") == ""):
		t.Errorf("%s is refused: %+v", c.name, got)
	case passes:
		after := [][]string{got.upstream["Origin"], got.upstream["Sec-Fetch-Site"]}
		if !slices.EqualFunc(before, after, slices.Equal) {
			t.Errorf("%s: the upstream received %q of %q", c.name, after, before)
		}
	case got.upstream != nil || got.status != http.StatusForbidden || got.cacheControl != "no-store" || got.location != "":
		t.Errorf("%s passes, or is refused in another way: %+v", c.name, got)
	}
}

// origin is whose page a request says it is from.
type origin int

const (
	unsaid       origin = iota // no Origin
	here                       // this site
	trusted                    // one that cross_origin names
	hereInPlain                // this site, over plain HTTP
	foreign                    // any other, and "null"
	contradicted               // two Origin lines
)

// fetchSite is how a browser says that the page is related to this site.
type fetchSite int

const (
	silent      fetchSite = iota // no Sec-Fetch-Site: no browser, or an old one, or plain HTTP
	own                          // same-origin, or none: the user's own doing
	elsewhere                    // same-site, cross-site, and what no browser says
	selfDenying                  // two lines
)

// crossingAllowed is the rule. It knows what a request means, not how it is written.
func crossingAllowed(explicit bool, method string, from origin, site fetchSite) bool {
	upgrade := method == "websocket" || method == "SPDY" || method == "websocket h2"
	switch {
	case explicit: // no other site's page can send it
		return true
	case !upgrade && (method == "GET" || method == "HEAD" || method == "OPTIONS"):
		return true
	case from == contradicted || site == selfDenying:
		return false
	case from == trusted:
		return true
	case site == elsewhere:
		return false
	case upgrade:
		return from == here || from == unsaid && site == silent
	case site == own: // the browser vouches for it
		return true
	default: // net/http does not compare the scheme
		return from == unsaid || from == here || from == hereInPlain
	}
}

func TestCrossOriginMatrix(t *testing.T) {
	senders := []struct {
		name string
		from origin
		site fetchSite
		send http.Header
	}{
		{"the same origin", here, own, fetchMetadata("same-origin", thisOrigin)},
		{"the same site", foreign, elsewhere, fetchMetadata("same-site", "https://other.example.com")},
		{"another site", foreign, elsewhere, fetchMetadata("cross-site", "https://evil.example")},
		{"another site without Origin", unsaid, elsewhere, fetchMetadata("cross-site")},
		{"the same site without Origin", unsaid, elsewhere, fetchMetadata("same-site")},
		{"the user", unsaid, own, fetchMetadata("none")},
		{"the same origin without Origin", unsaid, own, fetchMetadata("same-origin")},
		{"no browser", unsaid, silent, nil},
		{"a sandboxed frame", foreign, elsewhere, fetchMetadata("cross-site", "null")},
		{"a sandboxed frame in an old browser", foreign, silent, fetchMetadata("", "null")},
		{"a trusted origin", trusted, elsewhere, fetchMetadata("cross-site", trustedOrigin)},
		{"a trusted origin in an old browser", trusted, silent, fetchMetadata("", trustedOrigin)},
		{"a trusted origin over plain HTTP", foreign, elsewhere, fetchMetadata("cross-site", "http://portal.example.net")},
		{"a trusted origin with a port", foreign, silent, fetchMetadata("", trustedOrigin+":8443")},
		{"a trusted origin as a prefix", foreign, silent, fetchMetadata("", trustedOrigin+".evil.example")},
		{"another port", foreign, elsewhere, fetchMetadata("same-site", thisOrigin+":8443")},
		{"another port in an old browser", foreign, silent, fetchMetadata("", thisOrigin+":8443")},
		{"another scheme", hereInPlain, elsewhere, fetchMetadata("cross-site", "http://dash.example.com")},
		{"another scheme in an old browser", hereInPlain, silent, fetchMetadata("", "http://dash.example.com")},
		{"an old browser", here, silent, fetchMetadata("", thisOrigin)},
		{"an old browser on another site", foreign, silent, fetchMetadata("", "https://evil.example")},
		{"an old browser on a site that ends alike", foreign, silent, fetchMetadata("", "https://xdash.example.com")},
		{"an old browser on a site that begins alike", foreign, silent, fetchMetadata("", thisOrigin+".evil.example")},
		{"an extension", foreign, silent, fetchMetadata("", "chrome-extension://abcdef")},
		{"an extension, according to the browser", foreign, elsewhere, fetchMetadata("cross-site", "chrome-extension://abcdef")},
		{"two Origin lines, the good one first", contradicted, silent, fetchMetadata("", thisOrigin, "https://evil.example")},
		{"two Origin lines, the bad one first", contradicted, silent, fetchMetadata("", "https://evil.example", thisOrigin)},
		{"two Origin lines of the same", contradicted, own, fetchMetadata("same-origin", thisOrigin, thisOrigin)},
		{"two Origin lines, one trusted", contradicted, elsewhere, fetchMetadata("cross-site", trustedOrigin, "https://evil.example")},
		{"what no browser says of itself", here, elsewhere, fetchMetadata("yes", thisOrigin)},
		{"in another case", here, elsewhere, fetchMetadata("Same-Origin", thisOrigin)},
		{"a list", here, elsewhere, fetchMetadata("same-origin, cross-site", thisOrigin)},
		{
			"two lines of it", here, selfDenying,
			http.Header{"Sec-Fetch-Site": {"same-origin", "cross-site"}, "Origin": {thisOrigin}},
		},
		{
			"two lines of it of a trusted origin", trusted, selfDenying,
			http.Header{"Sec-Fetch-Site": {"none", "none"}, "Origin": {trustedOrigin}},
		},
	}
	methods := []string{
		"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "websocket", "SPDY", "websocket h2",
	}
	for _, c := range newCrossings(t, map[string]any{"cross_origin": []string{trustedOrigin}}) {
		for _, sender := range senders {
			for _, method := range methods {
				t.Run(strings.Join([]string{c.name, sender.name, method}, "/"), func(t *testing.T) {
					wantCrossing(t, c, crossingRequest(method, sender.send), crossingAllowed(c.explicit, method, sender.from, sender.site))
				})
			}
		}
	}
}

// fetchMetadata are the fields with which a browser tells where a request comes from.
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

// The rule of the matrix, to the letter: what passes and what does not.
func TestCrossOriginToTheLetter(t *testing.T) {
	crossings := make(map[string]crossing)
	for _, c := range newCrossings(t, map[string]any{"cross_origin": []string{trustedOrigin}}) {
		crossings[c.name] = c
	}
	for _, row := range []string{
		// credential | method | Sec-Fetch-Site | Origin | what becomes of it
		"client_cert tls | POST | cross-site | https://evil.example | 403",
		"client_cert tls | POST | cross-site | null | 403",
		"client_cert tls | POST | same-site | https://wiki.example.com | 403",
		"client_cert tls | POST | same-origin | https://dash.example.com | 200",
		"client_cert tls | POST | none | - | 200",
		"client_cert tls | POST | - | - | 200",
		"client_cert tls | POST | - | https://dash.example.com | 200",
		"client_cert tls | POST | - | https://evil.example | 403",
		"client_cert tls | POST | - | null | 403",
		"client_cert tls | PUT | cross-site | https://evil.example | 403",
		"client_cert tls | PATCH | cross-site | https://evil.example | 403",
		"client_cert tls | DELETE | cross-site | https://evil.example | 403",
		"client_cert tls | DELETE | - | https://dash.example.com:8443 | 403",
		"client_cert tls | GET | cross-site | https://evil.example | 200",
		"client_cert tls | HEAD | cross-site | https://evil.example | 200",
		"client_cert tls | OPTIONS | cross-site | https://evil.example | 200",
		"client_cert tls | websocket | cross-site | https://evil.example | 403",
		"client_cert tls | websocket | - | https://evil.example | 403",
		"client_cert tls | websocket | - | https://dash.example.com | 200",
		"client_cert tls | websocket | - | http://dash.example.com | 403",
		"client_cert tls | websocket | - | null | 403",
		"client_cert tls | websocket | - | - | 200",
		"client_cert tls | websocket | same-origin | - | 403",
		"client_cert tls | websocket | same-site | https://wiki.example.com | 403",
		"client_cert tls | websocket | cross-site | https://portal.example.net | 200",
		"client_cert tls | SPDY | - | - | 200",
		"client_cert tls | SPDY | cross-site | https://evil.example | 403",
		"client_cert tls | websocket h2 | - | https://evil.example | 403",
		"client_cert tls | websocket h2 | - | http://dash.example.com | 403",
		"client_cert tls | websocket h2 | - | https://dash.example.com | 200",
		"forwarded | POST | cross-site | https://evil.example | 403",
		"forwarded | POST | cross-site | https://portal.example.net | 200",
		"forwarded | POST | same-origin | https://dash.example.com | 200",
		"forwarded | websocket | - | https://evil.example | 403",
		"forwarded | websocket | same-origin | https://dash.example.com | 200",
		"placeholder | DELETE | same-site | https://wiki.example.com | 403",
		"placeholder | websocket | - | https://evil.example | 403",
		"token_header of a proxy | POST | cross-site | https://evil.example | 403",
		"token_header of anybody | POST | cross-site | https://evil.example | 403",
		"Authorization of a proxy | POST | cross-site | https://evil.example | 403",
		"Authorization of a proxy | websocket | - | https://evil.example | 403",
		"Authorization of a proxy | POST | - | - | 200",
		"Authorization of the client | POST | cross-site | https://evil.example | 200",
		"Authorization of the client | websocket | - | https://evil.example | 200",
		"Authorization of the client | DELETE | garbage | null | 200",
		"a certificate before Authorization | POST | cross-site | https://evil.example | 403",
		"both places of a token | POST | cross-site | https://evil.example | 403",
		"anonymous | POST | cross-site | https://evil.example | 200",
		"anonymous | websocket | - | https://evil.example | 200",
	} {
		t.Run(row, func(t *testing.T) {
			column := strings.Split(row, " | ")
			header := make(http.Header)
			for i, field := range []string{"Sec-Fetch-Site", "Origin"} {
				if value := column[2+i]; value != "-" {
					header[field] = []string{value}
				}
			}
			wantCrossing(t, crossings[column[0]], crossingRequest(column[1], header), column[4] == "200")
		})
	}
}

// A token that a page puts into the subprotocol of a websocket, as the API server's own
// clients do, is one that no other page has.
func TestCrossOriginTokenInASubprotocol(t *testing.T) {
	oidc, token := crossIssuer(t)
	h, err := loadedHandler(t, quietCaddy(t), map[string]any{
		"sources": []any{oidc}, "injectors": []any{map[string]any{"injector": "headers", "user": "X-User"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := crossingRequest("websocket", fetchMetadata("cross-site", "https://evil.example"))
	r.Header.Set("Sec-WebSocket-Protocol",
		"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(token)))
	if got := askHandler(t, h, r); got.upstream.Get("X-User") != "alice" {
		t.Errorf("it is refused: %+v", got)
	}
}

// What this site is called is what the browser calls it: Host, or what a trusted proxy
// says in X-Forwarded-Host and X-Forwarded-Proto.
func TestCrossOriginBehindAProxy(t *testing.T) {
	var proxied, direct crossing
	for _, c := range newCrossings(t, nil) {
		switch c.name {
		case "forwarded":
			proxied = c
		case "placeholder": // the peer is not trusted
			direct = c
		}
	}
	for _, test := range []struct {
		name          string
		client        crossing
		method        string
		tls           bool
		host          string
		forwardedHost []string
		proto         []string
		header        http.Header
		passes        bool
	}{
		{"Host is the backend's, and nothing tells", proxied, "websocket", true, "backend:8080", nil, nil, fetchMetadata("", thisOrigin), false},
		{"Host is the backend's, and the proxy tells", proxied, "websocket", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", thisOrigin), true},
		{"the same for a method", proxied, "POST", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", thisOrigin), true},
		{"with fetch metadata", proxied, "websocket", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("same-origin", thisOrigin), true},
		{"a page of the backend's name", proxied, "POST", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", "http://backend:8080"), false},
		{"a page of the backend's name and a websocket", proxied, "websocket", false, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", "http://backend:8080"), false},
		{"the browser vouches for a method", proxied, "POST", true, "backend:8080", nil, nil, fetchMetadata("same-origin", thisOrigin), true},
		{"the proxy says two hosts", proxied, "POST", true, "dash.example.com", []string{"evil.example", "dash.example.com"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"the proxy says a list", proxied, "POST", true, "dash.example.com", []string{"evil.example, dash.example.com"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"the proxy says what is no host", proxied, "POST", true, "dash.example.com", []string{"u@evil.example"}, nil, fetchMetadata("", "https://u@evil.example"), false},
		{"an untrusted peer says the attacker's host", direct, "POST", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"an untrusted peer, and a websocket", direct, "websocket", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"an untrusted peer does not hide this site", direct, "websocket", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", thisOrigin), true},

		{"the proxy's own port, the browser's default", proxied, "POST", false, "dash.example.com:443", nil, nil, fetchMetadata("", thisOrigin), true},
		{"the same for a websocket", proxied, "websocket", false, "dash.example.com:443", nil, nil, fetchMetadata("", thisOrigin), true},
		{"plain HTTP's", proxied, "POST", false, "dash.example.com:80", nil, nil, fetchMetadata("", "http://dash.example.com"), true},
		{"of the other scheme", proxied, "POST", false, "dash.example.com:80", nil, nil, fetchMetadata("", thisOrigin), false},
		{"a port that is no default", proxied, "POST", false, "dash.example.com:8080", nil, nil, fetchMetadata("", "http://dash.example.com"), false},
		{"in another case", proxied, "POST", false, "Dash.Example.COM", nil, nil, fetchMetadata("", thisOrigin), true},
		{"Unicode's long s is none", proxied, "websocket", false, "daſh.example.com", nil, nil, fetchMetadata("", thisOrigin), false},
		{"an address", proxied, "websocket", false, "[2001:db8::1]:80", nil, nil, fetchMetadata("", "http://[2001:db8::1]"), true},

		{"TLS ended at a proxy that does not say so", proxied, "websocket", false, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin), true},
		{"TLS ended at a proxy that says so", proxied, "websocket", false, "dash.example.com", nil, []string{"https"}, fetchMetadata("", thisOrigin), true},
		{"a page that was written on the way", proxied, "websocket", false, "dash.example.com", nil, []string{"https"}, fetchMetadata("", "http://dash.example.com"), false},
		{"a page that was written on the way, and nobody knows", proxied, "websocket", false, "dash.example.com", nil, nil, fetchMetadata("", "http://dash.example.com"), true},
		{"plain HTTP as it should be", proxied, "websocket", true, "dash.example.com", nil, []string{"http"}, fetchMetadata("", "http://dash.example.com"), true},
		{"an untrusted peer says plain HTTP", direct, "websocket", true, "dash.example.com", nil, []string{"http"}, fetchMetadata("", "http://dash.example.com"), false},
		{"two schemes", proxied, "websocket", true, "dash.example.com", nil, []string{"http", "https"}, fetchMetadata("", "http://dash.example.com"), false},

		{"no Host, and a page without an origin", proxied, "POST", true, "", nil, nil, fetchMetadata("", "null"), false},
		{"no Host, and a websocket without an origin", proxied, "websocket", true, "", nil, nil, fetchMetadata("", "null"), false},
		{"no Host, and an Origin without one", proxied, "websocket", false, "", nil, nil, fetchMetadata("", "http://"), false},
		{"no Host, and no browser", proxied, "POST", true, "", nil, nil, nil, true},
		{"more than an origin", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin+"/"), false},
		{"a user in it", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "https://u@dash.example.com"), false},
		{"a list of origins", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin+" https://evil.example"), false},
		{"no scheme", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "dash.example.com"), false},
		{"a scheme of websockets", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "wss://dash.example.com"), false},
		{"an empty Origin", proxied, "websocket", true, "dash.example.com", nil, nil, http.Header{"Origin": {""}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := crossingRequest(test.method, test.header)
			r.Host = test.host
			if !test.tls {
				r.TLS = nil
			}
			for field, lines := range map[string][]string{"X-Forwarded-Host": test.forwardedHost, "X-Forwarded-Proto": test.proto} {
				if lines != nil {
					r.Header[field] = lines
				}
			}
			wantCrossing(t, test.client, r, test.passes)
			if r.Host != test.host {
				t.Errorf("the upstream's Host is %q, not %q", r.Host, test.host)
			}
		})
	}
}

func TestCrossOriginOffLetsEverythingPass(t *testing.T) {
	for _, c := range newCrossings(t, map[string]any{"cross_origin": []string{"off"}}) {
		for _, method := range []string{"POST", "DELETE", "websocket", "SPDY", "websocket h2"} {
			for _, header := range []http.Header{
				fetchMetadata("cross-site", "https://evil.example"), fetchMetadata("", "null"), fetchMetadata("x", "a", "b"),
			} {
				wantCrossing(t, c, crossingRequest(method, header), true)
			}
		}
	}
}

func TestCrossOriginsAreJudgedAtLoad(t *testing.T) {
	ctx := quietCaddy(t)
	for _, test := range []struct {
		words []string
		loads bool
	}{
		{nil, true},
		{[]string{"off"}, true},
		{[]string{"https://portal.example.com"}, true},
		{[]string{"https://portal.example.com", "http://localhost:3000", "https://[2001:db8::1]:8443"}, true},
		{[]string{"off", "https://portal.example.com"}, false},
		{[]string{"https://portal.example.com", "off"}, false},
		{[]string{"off", "off"}, false},
		{[]string{"OFF"}, false},
		{[]string{""}, false},
		{[]string{"*"}, false},
		{[]string{"null"}, false},
		{[]string{"portal.example.com"}, false},
		{[]string{"//portal.example.com"}, false},
		{[]string{"https://"}, false},
		{[]string{"https://:443"}, false},
		{[]string{"https://*.example.com"}, false},
		{[]string{"https://portal.example.com/"}, false},
		{[]string{"https://portal.example.com/x"}, false},
		{[]string{"https://portal.example.com?"}, false},
		{[]string{"https://portal.example.com#"}, false},
		{[]string{"https://user@portal.example.com"}, false},
		{[]string{"https://Portal.example.com"}, false},
		{[]string{"HTTPS://portal.example.com"}, false},
		{[]string{"https://portal.example.com:443"}, false},
		{[]string{"http://portal.example.com:80"}, false},
		{[]string{"https://portal.example.com:"}, false},
		{[]string{"https://portal.example.com:x"}, false},
		{[]string{"https://bücher.example"}, false},
		{[]string{"wss://portal.example.com"}, false},
		{[]string{"chrome-extension://abcdef"}, false},
		{[]string{" https://portal.example.com"}, false},
		{[]string{"https://portal.example.com https://other.example.com"}, false},
	} {
		_, err := loadedHandler(t, ctx, map[string]any{
			"sources":      []any{map[string]any{"source": "anonymous"}},
			"injectors":    []any{map[string]any{"injector": "front_proxy"}},
			"cross_origin": test.words,
		})
		if (err == nil) != test.loads || err != nil && !strings.Contains(err.Error(), "cross_origin: ") {
			t.Errorf("cross_origin %q: %v", test.words, err)
		}
	}
}

// FuzzCrossOrigin opens websockets from any Origin to any Host. What passes is from a page
// whose host is the one that the browser was told.
func FuzzCrossOrigin(f *testing.F) {
	for _, pair := range [][2]string{
		{thisOrigin, "dash.example.com"},
		{"http://dash.example.com:80", "dash.example.com"},
		{"null", ""},
		{"https://:443", ":443"},
		{"https://[::1]", "[::1]:443"},
		{"https://a:443:443", "a:443"},
		{"https://A.example", "a.EXAMPLE"},
		{"https://a@b", "a@b"},
		{"https://ſ.example", "s.example"},
		{"https://s.example", "ſ.example"},
		{"http://a%62", "a%62"},
		{"https://a/b", "a/b"},
	} {
		f.Add(pair[0], pair[1])
	}
	h, err := loadedHandler(f, quietCaddy(f), map[string]any{
		"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{map[string]any{"source": "forwarded", "user": []string{"X-Forwarded-User"}}},
		"injectors":       []any{map[string]any{"injector": "front_proxy"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := crossingRequest("websocket", http.Header{"Origin": {origin}, "X-Forwarded-User": {"alice"}})
		r.Host, r.TLS, r.RemoteAddr = host, nil, "192.0.2.1:1"
		if got := askHandler(t, h, r); got.upstream == nil {
			return
		}
		scheme, rest, found := strings.Cut(origin, "://")
		port := map[string]string{"http": ":80", "https": ":443"}[scheme]
		if !found || port == "" || rest == "" {
			t.Fatalf("%q is no origin, and passes to %q", origin, host)
		}
		if strings.ContainsAny(rest, "@/?#\\ ,%") {
			t.Errorf("%q is more than an origin, and passes to %q", origin, host)
		}
		one, other := strings.TrimSuffix(rest, port), strings.TrimSuffix(host, port)
		if len(one) != len(other) || !strings.EqualFold(one, other) {
			t.Errorf("%q passes to %q", origin, host)
		}
	})
}
