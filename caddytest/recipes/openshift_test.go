// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/openshift"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// requestHeader is the recipe with both ends: an OAuth server behind the first site, and Kiali
// behind the second.
type requestHeader struct {
	oauth           *openshift.Server
	kiali           *kiali.Server
	ca, proxies     *testpki.Pair
	proxy           *testpki.Pair // the certificate auth-proxy
	token           string
	login, believes *testhandler.Caddy // the two sites of one Caddy
}

// password is that of alice in the hash that the test has in place of the page's.
const (
	passwordHash = "$2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC"
	password     = "Authorization: Basic YWxpY2U6Y29ycmVjdA==" // alice:correct
)

func newRequestHeader(t *testing.T) *requestHeader {
	t.Helper()
	const name = "openshift-request-header"
	r := &requestHeader{ca: testpki.NewCA(t, nil, "ingress ca", nil), proxies: testpki.NewCA(t, nil, "proxy ca", nil)}
	r.proxy = r.proxies.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy"))
	r.oauth, r.kiali, r.token = openshift.New(t, r.ca, r.proxies), kiali.New(t), impersonator(t, name)
	server := r.ca.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	ports := freeport.Ports(t, 2)
	caddy := start(t, recipe(
		t, name, "\nlogin.example.com {", "\nhttp://:"+ports[0]+" {", "\nkiali.example.com {", "\nhttps://localhost:"+ports[1]+" {",
		"$2a$14$ukQzO/Y68STIGDGJ2NUs1.UQ5uJbixX1QPxsoy730JxjPrq1gozCq", passwordHash,
		"https://oauth-openshift.apps.example.com", r.oauth.URL, "/etc/caddy/ingress-ca.pem", testpki.PEMFile(t, r.ca),
		"/etc/caddy/proxy.pem", testpki.PEMFile(t, r.proxy), "/etc/caddy/proxy-key.pem", testpki.KeyFile(t, r.proxy),
		"/etc/caddy/proxy-ca.pem", testpki.PEMFile(t, r.proxies),
		"/etc/caddy/server.pem", testpki.PEMFile(t, server), "/etc/caddy/server-key.pem", testpki.KeyFile(t, server),
		podToken, testkube.File(t, r.token), "127.0.0.1:20001", r.kiali.Listener.Addr().String(),
	))
	login, believes := *caddy, *caddy
	login.Addr, believes.Addr = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	r.login, r.believes = &login, &believes
	return r
}

// The first end, from the OAuth server's redirect to the code for its client.
func TestRecipeOpenShiftLogsIn(t *testing.T) {
	r := newRequestHeader(t)
	for path, csrf := range map[string]string{"login-proxy": "", "challenging-proxy": "1"} {
		t.Run(path, func(t *testing.T) {
			line := "GET /" + path + "/oauth/authorize?" + openshift.Query("client") + " HTTP/1.1"
			fields := slices.DeleteFunc([]string{password, "X-Csrf-Token: " + csrf}, func(field string) bool { return field == "X-Csrf-Token: " })
			got := r.login.Send(t, testhandler.StrangerPeer, line, forged(append(fields, "X-Remote-User-Login: admin", "Cookie: ssn=x")...), "")
			if got.Status != http.StatusFound {
				t.Fatalf("status %d %s\n%s", got.Status, got.Text, r.login.LogText(t))
			}
			if user := r.oauth.User(t, got.Header.Get("Location")); user != (openshift.User{Name: "alice"}) {
				t.Errorf("the code is for %+v", user)
			}
			want := testhandler.Proxied(testhandler.StrangerPeer, received(t, "openshift-login"))
			want["Host"] = []string{r.oauth.Listener.Addr().String()}
			if csrf != "" {
				want["X-Csrf-Token"] = []string{csrf}
			}
			r.oauth.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("client"), want)

			if got := r.login.Send(t, testhandler.StrangerPeer, line, forged(fields[1:]...), ""); got.Status != http.StatusUnauthorized {
				t.Errorf("without the password: status %d", got.Status)
			}
			r.oauth.WantNothing(t)
		})
	}
	for name, c := range map[string]struct {
		path   string
		status int
	}{
		"a page elsewhere that uses the browser's password": {"/challenging-proxy/oauth/authorize", http.StatusForbidden},
		"another endpoint of the OAuth server":              {"/login-proxy/oauth/token", http.StatusNotFound},
		"another path":                                      {"/", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.login.Send(t, testhandler.StrangerPeer, "GET "+c.path+" HTTP/1.1", []string{password}, ""); got.Status != c.status {
				t.Errorf("status %d, want %d", got.Status, c.status)
			}
			r.oauth.WantNothing(t)
		})
	}
}

// The second end believes a proxy by its certificate alone, as the OAuth server does.
func TestRecipeOpenShiftBelievesAProxy(t *testing.T) {
	const mark = "recipes-openshift"
	r := newRequestHeader(t)
	other := testpki.NewCA(t, nil, "proxy ca", nil)
	for name, c := range map[string]struct {
		chain  []*testpki.Pair
		status int
	}{
		"a proxy with the certificate":         {[]*testpki.Pair{r.proxy}, http.StatusOK},
		"a client without a certificate":       {nil, http.StatusUnauthorized},
		"a proxy with another name":            {[]*testpki.Pair{r.proxies.Leaf(t, testpki.Named(testpki.CommonName, "mallory"))}, http.StatusUnauthorized},
		"a proxy with a certificate elsewhere": {[]*testpki.Pair{other.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy"))}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			got := overTLS(t, r.believes, testpki.ClientTLS(r.ca, "localhost", c.chain...), mark,
				"X-Remote-User: alice", "X-Remote-User-Email: alice@example.com", "Impersonate-User: admin", "X-Remote-Group: system:masters")
			if got.Status != c.status {
				t.Fatalf("status %d, want %d\n%s", got.Status, c.status, got.Text)
			}
			if c.status != http.StatusOK {
				r.kiali.WantNothing(t)
				return
			}
			want := testhandler.Proxied(testhandler.StrangerPeer, received(t, "openshift-server", "<the token of the file>", r.token))
			want["Host"], want["X-Forwarded-Host"], want["X-Forwarded-Proto"] = []string{"localhost"}, []string{"localhost"}, []string{"https"}
			r.kiali.WantOnly(t, "GET /kiali/api/namespaces?mark="+mark, want)
			testkube.Answer{Mark: mark}.WantImpersonated(t, account, "alice")
		})
	}
}

// overTLS asks for Kiali's namespaces at a site with a certificate for localhost.
func overTLS(t *testing.T, c *testhandler.Caddy, config *tls.Config, mark string, fields ...string) testhandler.Reply {
	t.Helper()
	config.NextProtos = []string{"http/1.1"}
	conn := tls.Client(c.Dial(t, testhandler.StrangerPeer), config)
	line := "GET /kiali/api/namespaces?mark=" + mark
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: localhost\r\n"+testkube.Lines(fields)+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return testhandler.ReadReply(t, bufio.NewReader(conn), line)
}
