// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// oauthUser is what the OAuth server knows of who has logged in.
type oauthUser struct{ name, preferred, display, email string }

// oauthServer is OpenShift's OAuth server with an identity provider RequestHeader
// (openshift/oauth-server, pkg/authenticator/request/headerrequest and .../redirector,
// pkg/oauthserver/auth.go).
type oauthServer struct {
	*httptest.Server
	seen

	cas   *x509.CertPool // ca
	names []string       // clientCommonNames

	mu                  sync.Mutex
	login, challenge    string // loginURL, challengeURL
	codes               map[string]oauthUser
	headers, preferreds []string
}

// oauthCallback is where a client of the OAuth server waits for its code.
const oauthCallback = "http://app.example/callback"

func newOAuthServer(t *testing.T, ca, proxies *certNode) *oauthServer {
	t.Helper()
	o := &oauthServer{
		cas: x509.NewCertPool(), names: []string{"auth-proxy", "other-proxy"}, codes: make(map[string]oauthUser),
		headers: []string{"SSO-User", "X-Remote-User"}, preferreds: []string{"X-Remote-User-Login"},
	}
	o.cas.AddCert(proxies.cert)
	leaf := ca.holder(t, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.record(r)
		if r.URL.Path != "/oauth/authorize" && !strings.HasPrefix(r.URL.Path, "/oauth/authorize/") {
			http.NotFound(w, r)
			return
		}
		o.authorize(w, r)
	}))
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}, ClientAuth: tls.RequestClientCert,
	}
	o.StartTLS()
	t.Cleanup(o.Close)
	return o
}

// first is the first of the fields whose first line is not empty.
func (*oauthServer) first(header http.Header, names ...string) string {
	for _, name := range names {
		if value := header.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// proxy judges the certificate of the proxy. No certificate is no opinion.
func (o *oauthServer) proxy(r *http.Request) (opinion bool, err error) {
	chain := r.TLS.PeerCertificates
	if len(chain) == 0 {
		return false, nil
	}
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: o.cas, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return false, err
	}
	if name := chain[0].Subject.CommonName; !slices.Contains(o.names, name) {
		return false, fmt.Errorf("x509: subject with cn=%s is not in the allowed list", name)
	}
	return true, nil
}

func (o *oauthServer) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	opinion, err := o.proxy(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	user := oauthUser{
		name: o.first(r.Header, o.headers...), preferred: o.first(r.Header, o.preferreds...),
		display: o.first(r.Header, "X-Remote-User-Display-Name"), email: o.first(r.Header, "X-Remote-User-Email"),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !opinion || user.name == "" {
		template := o.login
		if r.FormValue("client_id") == "openshift-challenging-client" {
			template = o.challenge
		}
		place, query, _ := strings.Cut(template, "?")
		query = strings.ReplaceAll(query, "${query}", r.URL.RawQuery)
		query = strings.ReplaceAll(query, "${url}", url.QueryEscape("https://"+r.Host+r.URL.RequestURI()))
		w.Header().Set("Location", place+"?"+query)
		w.WriteHeader(http.StatusFound)
		return
	}
	name := user.name
	if user.preferred != "" {
		name = user.preferred
	}
	if name == "." || name == ".." || name == "~" || strings.ContainsAny(name, "/%") || strings.Contains(name, ":") && !strings.HasPrefix(name, "b64:") {
		http.Error(w, "User.user.openshift.io is invalid", http.StatusInternalServerError)
		return
	}
	code := rand.Text()
	o.codes[code] = user
	target := r.FormValue("redirect_uri") + "?code=" + code + "&state=" + url.QueryEscape(r.FormValue("state"))
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

// user is who got a code, if a redirect is to the callback with one.
func (o *oauthServer) user(t *testing.T, location string) oauthUser {
	t.Helper()
	parsed, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, oauthCallback+"?") || parsed.Query().Get("state") != "a b&c" {
		t.Fatalf("Location = %q, want the callback", location)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	user, found := o.codes[parsed.Query().Get("code")]
	if !found {
		t.Errorf("there is no such code: %q", location)
	}
	return user
}

// wants sets where it sends those who are nobody.
func (o *oauthServer) wants(login, challenge string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.login, o.challenge = login, challenge
}

// oauthQuery is what a client asks with.
func oauthQuery(client string) string {
	return "client_id=" + client + "&redirect_uri=" + url.QueryEscape(oauthCallback) + "&response_type=code&state=a+b%26c"
}

// oauthPKI is an OAuth server and the certificates of proxies.
type oauthPKI struct {
	*oauthServer

	ca, proxies, proxy *certNode
	caFile             string
}

func newOAuth(t *testing.T) *oauthPKI {
	t.Helper()
	p := &oauthPKI{ca: mintCA(t, nil, "ingress ca", nil), proxies: mintCA(t, nil, "proxy ca", nil)}
	p.proxy, p.caFile = p.proxies.holder(t, named(cn, "auth-proxy")), pemFile(t, p.ca)
	p.oauthServer = newOAuthServer(t, p.ca, p.proxies)
	return p
}

// upstream is a reverse_proxy to the OAuth server, with a certificate unless it is nil.
func (p *oauthPKI) upstream(t *testing.T, proxy *certNode) string {
	t.Helper()
	certificate := ""
	if proxy != nil {
		certificate = "tls_client_auth " + pemFile(t, proxy) + " " + keyFileOf(t, proxy)
	}
	return fmt.Sprintf("reverse_proxy %s {\n transport http {\n tls_trust_pool file %s\n versions 1.1\n %s\n }\n }\n", p.URL, p.caFile, certificate)
}

// at is a site below a path.
func (p *oauthPKI) at(t *testing.T, path, before, block string, proxy *certNode) string {
	t.Helper()
	return fmt.Sprintf("handle_path /%s/* {\n route {\n %s\n kube_identity {\n trusted_proxies static %s\n %s\n inject openshift_oauth\n }\n %s }\n }\n",
		path, before, trustedPeer, block, p.upstream(t, proxy))
}

const (
	oauthPassword = "basic_auth {\n alice $2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC\n }\n" // "correct"
	oauthBasic    = "Authorization: Basic YWxpY2U6Y29ycmVjdA=="
	oauthByName   = "placeholder {\n user {http.auth.user.id}\n }\n"
	oauthCSRF     = "@forged not header_regexp X-Csrf-Token .\n error @forged 403\n"
)

// guard starts Caddy with the sites, and tells the OAuth server of it.
func (p *oauthPKI) guard(t *testing.T, sites ...string) *guarded {
	t.Helper()
	g := &guarded{Caddy: caddytest.Start(t, "servers {\nmax_header_size 64KB\n}", "http://:0 {\n"+strings.Join(sites, "")+"}\n")}
	p.wants("http://"+siteHost+"/login-proxy/oauth/authorize?${query}", "http://"+siteHost+"/challenging-proxy/oauth/authorize?${query}")
	return g
}

// asks asks the OAuth server itself, as a client does first.
func (p *oauthPKI) asks(t *testing.T, client string, certificate *certNode, header http.Header) (status int, location string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(p.ca.cert)
	config := &tls.Config{RootCAs: roots}
	if certificate != nil {
		pair := tls.Certificate{Certificate: [][]byte{certificate.cert.Raw}, PrivateKey: certificate.key}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/oauth/authorize?"+oauthQuery(client), nil)
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

// follow asks Caddy where a redirect goes.
func (g *guarded) follow(t *testing.T, location string, fields ...string) answer {
	t.Helper()
	path, found := strings.CutPrefix(location, "http://"+siteHost)
	if !found {
		t.Fatalf("Location = %q, want Caddy", location)
	}
	return g.send(t, trustedPeer, "GET "+path+" HTTP/1.1", fields, "")
}

// received is the whole header that arrives at the OAuth server.
func (p *oauthPKI) received(fields http.Header) http.Header {
	header := proxied(trustedPeer, fields)
	header["Host"] = []string{p.Listener.Addr().String()}
	return header
}

func TestUpstreamOpenShiftABrowserLogsIn(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName, p.proxy))
	status, location := p.asks(t, "openshift-browser-client", nil, http.Header{"X-Remote-User": {"root"}})
	if want := "http://" + siteHost + "/login-proxy/oauth/authorize?" + oauthQuery("openshift-browser-client"); status != http.StatusFound || location != want {
		t.Fatalf("status %d, Location = %q, want %q", status, location, want)
	}
	p.take()

	if asked := g.follow(t, location, "Sec-Fetch-Mode: navigate"); asked.status != http.StatusUnauthorized || !strings.HasPrefix(asked.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("status %d, %v", asked.status, asked.header)
	}
	p.wantNothing(t)
	got := g.follow(t, location, "Sec-Fetch-Mode: navigate", oauthBasic)
	if got.status != http.StatusFound {
		t.Fatalf("status %d, %s", got.status, got.text)
	}
	if user := p.user(t, got.header.Get("Location")); user != (oauthUser{name: "alice"}) {
		t.Errorf("the code is for %+v", user)
	}
	p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("openshift-browser-client"), p.received(http.Header{
		"X-Remote-User": {"alice"}, "Sec-Fetch-Mode": {"navigate"},
	}))

	below := g.send(t, trustedPeer, "GET /login-proxy/oauth/authorize/approve?"+oauthQuery("x")+" HTTP/1.1", []string{oauthBasic}, "")
	if user := p.user(t, below.header.Get("Location")); user.name != "alice" {
		t.Errorf("below: %+v", user)
	}
	p.wantOnly(t, "GET /oauth/authorize/approve?"+oauthQuery("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
}

// oc follows the redirect itself, with X-CSRF-Token on each request, and answers the Basic
// challenge.
func TestUpstreamOpenShiftOcFollowsTheChallenge(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "challenging-proxy", oauthCSRF+oauthPassword, oauthByName, p.proxy))
	status, location := p.asks(t, "openshift-challenging-client", nil, http.Header{"X-Csrf-Token": {"1"}})
	if status != http.StatusFound || !strings.HasPrefix(location, "http://"+siteHost+"/challenging-proxy/oauth/authorize?client_id=openshift-challenging-client&") {
		t.Fatalf("status %d, Location = %q", status, location)
	}
	p.take()
	if asked := g.follow(t, location, "X-CSRF-Token: 1"); asked.status != http.StatusUnauthorized || !strings.HasPrefix(asked.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("status %d, %v", asked.status, asked.header)
	}
	if forged := g.follow(t, location, oauthBasic); forged.status != http.StatusForbidden { // a page elsewhere cannot send it
		t.Errorf("without X-CSRF-Token: status %d", forged.status)
	}
	p.wantNothing(t)
	got := g.follow(t, location, "X-CSRF-Token: 1", oauthBasic)
	if user := p.user(t, got.header.Get("Location")); user != (oauthUser{name: "alice"}) {
		t.Errorf("the code is for %+v", user)
	}
	p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("openshift-challenging-client"), p.received(http.Header{
		"X-Remote-User": {"alice"}, "X-Csrf-Token": {"1"},
	}))
}

// Caddy's own login and challenge, for who comes to it as nobody: they follow the words of
// loginURL and challengeURL.
func TestUpstreamOpenShiftNobodyIsSentOn(t *testing.T) {
	p := newOAuth(t)
	block := kubeForwarded + "login https://sso.example/sso/authorize?then=${url}&${query}\nchallenge https://sso.example/challenge?${query}&at=${server-relative-url}\n"
	g := p.guard(t, p.at(t, "login-proxy", "", block, p.proxy))
	status, location := p.asks(t, "openshift-browser-client", nil, http.Header{})
	if status != http.StatusFound {
		t.Fatalf("status %d", status)
	}
	p.take()
	query := oauthQuery("openshift-browser-client")
	path := "/login-proxy/oauth/authorize?" + query
	for what, test := range map[string]struct {
		fields []string
		want   string
	}{
		"a browser":              {[]string{"Sec-Fetch-Mode: navigate"}, "https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+siteHost+path) + "&" + query},
		"oc":                     {[]string{"X-CSRF-Token: 1"}, "https://sso.example/challenge?" + query + "&at=" + url.QueryEscape(path)},
		"oc with an empty token": {[]string{"X-CSRF-Token:"}, ""},
		"a page's own request":   {[]string{"X-CSRF-Token: 1", "Sec-Fetch-Mode: cors"}, ""},
		"curl":                   {nil, ""},
		"a browser that says it is somebody": {
			[]string{"Sec-Fetch-Mode: navigate", "X-Remote-User: root"},
			"https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+siteHost+path) + "&" + query,
		},
	} {
		t.Run(what, func(t *testing.T) {
			got := g.follow(t, location, test.fields...)
			wantStatus := http.StatusFound
			if test.want == "" {
				wantStatus = http.StatusUnauthorized
			}
			if got.status != wantStatus || got.header.Get("Location") != test.want {
				t.Errorf("status %d, Location = %q\nwant %d, %q", got.status, got.header.Get("Location"), wantStatus, test.want)
			}
			p.wantNothing(t)
		})
	}
	t.Run("a query with a token of its own is not filled in again", func(t *testing.T) {
		got := g.send(t, trustedPeer, "GET /login-proxy/oauth/authorize?x=${url} HTTP/1.1", []string{"Sec-Fetch-Mode: navigate"}, "")
		want := "https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+siteHost+"/login-proxy/oauth/authorize?x=${url}") + "&x=$%7Burl%7D"
		if location := got.header.Get("Location"); location != want {
			t.Errorf("Location = %q, want %q", location, want)
		}
	})
}

// Whoever names the user: each identity goes to the same fields, and nothing of the client's
// own goes with it.
func TestUpstreamOpenShiftWhereTheUserComesFrom(t *testing.T) {
	p := newOAuth(t)
	users := mintCA(t, nil, "users", nil)
	alice := users.holder(t, nil)
	g := p.guard(
		t,
		p.at(t, "basic", oauthPassword, oauthByName, p.proxy),
		p.at(t, "forwarded", "", kubeForwarded, p.proxy),
		p.at(t, "forwarded-openshift", "", "forwarded openshift\n", p.proxy),
		p.at(t, "cert", "", "client_cert aws_alb {\n trust_pool file "+pemFile(t, users)+"\n }\n", p.proxy),
	)
	hostile := []string{
		"X-Remote-User: root", "x-remote-user: root", "X_Remote_User: root", "X-Remote-User-Email: root@example.com", "X-Remote-User-Display-Name: root",
		"X-Remote-User-Login: root", "X_Remote_User_Login: root", "X-Remote-Group: system:masters", "X-Remote-Extra-A: b", "Impersonate-User: root",
	}
	for at, test := range map[string]struct {
		fields  []string
		hostile []string
		want    oauthUser
	}{
		"basic": {[]string{oauthBasic}, hostile, oauthUser{name: "alice"}},
		"forwarded": {
			[]string{"X-Forwarded-User: alice", "X-Forwarded-Email: alice@example.com", "X-Forwarded-Preferred-Username: ali"},
			hostile,
			oauthUser{name: "alice", preferred: "ali", email: "alice@example.com"},
		},
		"forwarded-openshift": {
			[]string{"X-Remote-User: alice", "X-Remote-User-Email: alice@example.com", "X-Remote-User-Display-Name: Alice A", "X-Remote-User-Login: ali"},
			[]string{"X_Remote_User: root", "X_Remote_User_Login: root", "X-Remote-Group: system:masters"},
			oauthUser{name: "alice", preferred: "ali", display: "Alice A", email: "alice@example.com"},
		},
		"cert": {[]string{"X-Amzn-Mtls-Clientcert: " + albPEM(alice)}, hostile, oauthUser{name: "alice"}},
	} {
		t.Run(at, func(t *testing.T) {
			want := http.Header{"X-Remote-User": {test.want.name}}
			for field, value := range map[string]string{
				"X-Remote-User-Email": test.want.email, "X-Remote-User-Display-Name": test.want.display, "X-Remote-User-Login": test.want.preferred,
			} {
				if value != "" {
					want[field] = []string{value}
				}
			}
			line := "GET /" + at + "/oauth/authorize?" + oauthQuery("x") + " HTTP/1.1"
			for _, more := range [][]string{nil, test.hostile} {
				got := g.send(t, trustedPeer, line, append(slices.Clone(more), test.fields...), "")
				if user := p.user(t, got.header.Get("Location")); user != test.want {
					t.Errorf("the code is for %+v, want %+v", user, test.want)
				}
				p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("x"), p.received(want))
			}
			if got := g.send(t, strangerPeer, line, hostile, ""); got.status != http.StatusUnauthorized {
				t.Errorf("of a stranger: status %d", got.status)
			}
			p.wantNothing(t)
		})
	}
}

// The other listed field, SSO-User, is one that this Caddy does not write: the OAuth server
// reads it first. The built-in list has no such name, and strip_headers takes it off.
func TestUpstreamOpenShiftAFieldOfTheOperatorsOwn(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName+"strip_headers SSO-User\n", p.proxy))
	got := g.send(t, trustedPeer, "GET /login-proxy/oauth/authorize?"+oauthQuery("x")+" HTTP/1.1", []string{oauthBasic, "SSO-User: root", "sso_user: root"}, "")
	if user := p.user(t, got.header.Get("Location")); user.name != "alice" {
		t.Errorf("the code is for %+v", user)
	}
	p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
}

// The name alone is nothing: it is the certificate of Caddy's that makes it one.
func TestUpstreamOpenShiftBelievesTheCertificateOnly(t *testing.T) {
	p := newOAuth(t)
	other := mintCA(t, nil, "proxy ca", nil)
	for what, test := range map[string]struct {
		proxy    *certNode
		status   int
		location string
	}{
		"the proxy":                          {p.proxy, http.StatusFound, oauthCallback},
		"another of the names":               {p.proxies.holder(t, named(cn, "other-proxy")), http.StatusFound, oauthCallback},
		"no certificate":                     {nil, http.StatusFound, "http://" + siteHost + "/login-proxy/"},
		"a name that is not listed":          {p.proxies.holder(t, named(cn, "mallory")), http.StatusUnauthorized, ""},
		"another CA of the same name":        {other.holder(t, named(cn, "auth-proxy")), http.StatusUnauthorized, ""},
		"a certificate for servers":          {p.proxies.holder(t, forServers("auth-proxy")), http.StatusUnauthorized, ""},
		"the name as a DNS name only":        {p.proxies.holder(t, func(c *x509.Certificate) { c.DNSNames = []string{"auth-proxy"} }), http.StatusUnauthorized, ""},
		"an expired certificate of the same": {p.proxies.holder(t, expiredAs("auth-proxy")), http.StatusUnauthorized, ""},
	} {
		t.Run(what, func(t *testing.T) {
			g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName, test.proxy))
			got := g.send(t, trustedPeer, "GET /login-proxy/oauth/authorize?"+oauthQuery("x")+" HTTP/1.1", []string{oauthBasic}, "")
			location := got.header.Get("Location")
			if got.status != test.status || !strings.HasPrefix(location, test.location) || test.location == "" && location != "" {
				t.Errorf("status %d, Location = %q, want %d, %q", got.status, location, test.status, test.location)
			}
			p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
		})
	}
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

// What OpenShift could not name a user goes nowhere. That it would say 500 to them is in the
// stand-in, which is asked directly.
func TestUpstreamOpenShiftNamesThatNoUserCanHave(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", "", kubeForwarded, p.proxy))
	line := "GET /login-proxy/oauth/authorize?" + oauthQuery("x") + " HTTP/1.1"
	for _, name := range []string{"a/b", "/", "..", ".", "~", "50%", "%2e%2e", "oidc:alice", "system:admin", ":", "b64:YQ", "a/../b"} {
		t.Run(name, func(t *testing.T) {
			for _, fields := range [][]string{
				{"X-Forwarded-User: " + name},
				{"X-Forwarded-User: alice", "X-Forwarded-Preferred-Username: " + name},
			} {
				if got := g.send(t, trustedPeer, line, fields, ""); got.status != http.StatusForbidden || got.header.Get("Location") != "" {
					t.Errorf("%q: status %d", fields, got.status)
				}
				p.wantNothing(t)
			}
			status, _ := p.asks(t, "x", p.proxy, http.Header{"X-Remote-User": {name}})
			if status != http.StatusInternalServerError && !strings.HasPrefix(name, "b64:") {
				t.Errorf("the stand-in takes it: %d", status)
			}
			p.take()
		})
	}
	for _, name := range []string{"alice@example.com", "...", "~alice", "Jürgen", "a b", "CN=alice,O=x"} {
		t.Run(name, func(t *testing.T) {
			got := g.send(t, trustedPeer, line, []string{"X-Forwarded-User: " + name}, "")
			if user := p.user(t, got.header.Get("Location")); user != (oauthUser{name: name}) {
				t.Errorf("the code is for %+v", user)
			}
			p.wantOnly(t, "GET /oauth/authorize?"+oauthQuery("x"), p.received(http.Header{"X-Remote-User": {name}}))
		})
	}
}

// The other side: this Caddy does with such a proxy what the OAuth server does.
func TestUpstreamOpenShiftATrustedProxyByItsCertificate(t *testing.T) {
	root, proxies, other := mintCA(t, nil, "root", nil), mintCA(t, nil, "proxy ca", nil), mintCA(t, nil, "proxy ca", nil)
	mid := mintCA(t, proxies, "between", nil)
	block := "\tkube_identity {\n\t\ttrusted_proxy_cert {\n\t\t\ttrust_pool file " + pemFile(t, proxies) +
		"\n\t\t\tallowed_names auth-proxy\n\t\t}\n\t\tforwarded openshift\n\t\tinject openshift_oauth\n\t}\n"
	both := strings.Replace(block, "kube_identity {", "kube_identity /both {\n\t\ttrusted_proxies static "+trustedPeer, 1)
	s := tlsGuard(t, root, "mode request", both, strings.Replace(block, "kube_identity {", "kube_identity /x {", 1))
	fields := []string{"X-Remote-User: alice", "X-Remote-User-Email: alice@example.com", "X-Remote-User-Display-Name: Alice A", "X-Remote-User-Login: ali"}
	want := http.Header{
		"X-Remote-User": {"alice"}, "X-Remote-User-Email": {"alice@example.com"},
		"X-Remote-User-Display-Name": {"Alice A"}, "X-Remote-User-Login": {"ali"},
	}
	good, deep := proxies.holder(t, named(cn, "auth-proxy")), mid.holder(t, named(cn, "auth-proxy"))
	const (
		dropped = "no credential: fields dropped from a peer that is not trusted: 4: "
		verify  = dropped + "verifying the peer's TLS client certificate: …"
	)
	no := func(name, reason string, chain ...*certNode) tlsCase {
		return tlsCase{name: name, at: "x", chain: chain, fields: fields, status: http.StatusUnauthorized, reason: reason}
	}
	s.run(t, []tlsCase{
		{name: "the proxy", at: "x", chain: []*certNode{good}, fields: fields, status: 200, want: want},
		{name: "with what is between", at: "x", chain: []*certNode{deep, mid}, fields: fields, status: 200, want: want},
		{name: "groups are not part of it", at: "x", chain: []*certNode{good}, fields: with(fields, "X-Remote-Group: ops", "X-Remote-Uid: 1"), status: 200, want: want},
		{name: "two users", at: "x", chain: []*certNode{good}, fields: with(fields, "X-Remote-User: bob"), status: 400, reason: "…"},
		{name: "no user", at: "x", chain: []*certNode{good}, fields: fields[1:], status: 401, reason: "no credential"},
		{name: "from an address that is none of a proxy's", at: "both", chain: []*certNode{good}, fields: fields, status: 401, reason: strings.TrimSuffix(dropped, ": ")},
		no("no certificate", dropped+"the peer has no TLS client certificate"),
		no("another CA of the same name", verify, other.holder(t, named(cn, "auth-proxy"))),
		no("its own CA", verify, mint(t, nil, certKey(), named(cn, "auth-proxy"))),
		no("the listener's CA", verify, root.holder(t, named(cn, "auth-proxy"))),
		no("another name", dropped+`the peer's TLS client certificate has common name "mallory", which is not allowed`, proxies.holder(t, named(cn, "mallory"))),
		no("the name in another case", dropped+"…", proxies.holder(t, named(cn, "Auth-Proxy"))),
		no("two names", dropped+"the peer's TLS client certificate has 2 common names", proxies.holder(t, named(cn, "mallory", cn, "auth-proxy"))),
		no("the name as a DNS name only", dropped+"…", proxies.holder(t, func(c *x509.Certificate) { c.DNSNames = []string{"auth-proxy"} })),
		no("expired", verify, proxies.holder(t, expiredAs("auth-proxy"))),
		no("for servers only", verify, proxies.holder(t, forServers("auth-proxy"))),
		no("without what is between", verify, deep),
		no("a good one that is not its own", verify, other.holder(t, named(cn, "auth-proxy")), good),
	})
}

// A certificate is judged for each request, and not once for a connection that stays open.
func TestUpstreamOpenShiftACertificateThatExpiresOnAnOpenConnection(t *testing.T) {
	root, proxies := mintCA(t, nil, "root", nil), mintCA(t, nil, "proxy ca", nil)
	s := tlsGuard(t, root, "mode request", "\tkube_identity {\n\t\ttrusted_proxy_cert {\n\t\t\ttrust_pool file "+pemFile(t, proxies)+
		"\n\t\t\tallowed_names auth-proxy\n\t\t}\n\t\tforwarded openshift\n\t\tinject openshift_oauth\n\t}\n")
	end := time.Now().Add(3 * time.Second).Truncate(time.Second)
	proxy := proxies.holder(t, func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "auth-proxy", end })
	pair := tls.Certificate{PrivateKey: proxy.key, Certificate: [][]byte{proxy.cert.Raw}}
	conn := tls.Client(s.Dial(t, strangerPeer), &tls.Config{
		RootCAs: s.roots, ServerName: "localhost",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	})
	reader := bufio.NewReader(conn)
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: alice\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := readAnswer(t, reader, "GET"); got.status != status {
			t.Errorf("status %d, want %d", got.status, status)
		}
		if n := len(s.upstream.Take()); (n == 1) != (status == http.StatusOK) {
			t.Errorf("%d requests reached the upstream", n)
		}
		time.Sleep(time.Until(end.Add(1500 * time.Millisecond)))
	}
}
