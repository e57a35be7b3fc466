// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// exampleCase is one request to an example's site, and its whole result.
type exampleCase struct {
	name   string
	url    string // the part after the address of the site
	fields []string

	status   int
	location string
	cookies  []string    // the lines of Set-Cookie that the browser gets
	want     http.Header // the identity that the upstream sees; nil: no request reaches the upstream
}

// exampleAsk runs the cases in order.
func exampleAsk(t *testing.T, site string, upstream *testhandler.Upstream, cases []exampleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer := quickstartAsk(t, site+c.url, c.fields...)
			if location := answer.header.Get("Location"); answer.status != c.status || location != c.location {
				t.Errorf("got %d %s, want %d %s", answer.status, location, c.status, c.location)
			}
			if cookies := answer.header["Set-Cookie"]; !slices.Equal(cookies, c.cookies) {
				t.Errorf("the browser got the cookies %q, want %q", cookies, c.cookies)
			}
			received := upstream.Take()
			if c.want == nil {
				if len(received) > 0 {
					t.Errorf("the upstream received %v", received)
				}
				return
			}
			if len(received) != 1 {
				t.Fatalf("the upstream received %d requests: %v", len(received), received)
			}
			got := http.Header{}
			for name, values := range received[0].Header {
				if strings.HasPrefix(name, "Impersonate-") || strings.HasPrefix(name, "X-Remote-") ||
					strings.HasPrefix(name, "X-Auth-Request-") || name == "Authorization" || name == "Cookie" {
					got[name] = values
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("the upstream received\n%v, want\n%v", got, c.want)
			}
		})
	}
}

// TestExampleOpenShift runs both ends of the example; the second replaces the OAuth server
// to which the first proxies.
func TestExampleOpenShift(t *testing.T) {
	upstream := testhandler.NewUpstream(t)
	dir := t.TempDir()
	exampleCertificates(t, dir)
	ports := freeport.Ports(t, 2)
	login, server := "127.0.0.1:"+ports[0], "localhost:"+ports[1]
	file := func(name string) string { return filepath.Join(dir, name) }
	quickstartRun(t, program.Path(t), []string{"run", "--config", "examples/openshift-request-header.caddyfile"},
		map[string]string{
			"LOGIN_ADDRESS":  "http://" + login,
			"SERVER_ADDRESS": "https://" + server,
			"OAUTH_SERVER":   "https://" + server,
			"UPSTREAM":       upstream.Addr,
			"KUBE_TOKEN":     "examples/quickstart/token",
			"ALICE_HASH":     "$2a$04$YABCB5d5b5atMDNGutYubuC7nTEC/1qt/BjXMHwUdDhPlfAejGRfG", // of "password"
			"PROXY_CERT":     file("proxy.pem"), "PROXY_KEY": file("proxy-key.pem"), "PROXY_CA": file("ca.pem"),
			"SERVER_CERT": file("server.pem"), "SERVER_KEY": file("server-key.pem"), "OAUTH_CA": file("ca.pem"),
		}, login, server)

	const password = "Authorization: Basic YWxpY2U6cGFzc3dvcmQ=" // alice:password
	alice := http.Header{
		"Authorization":    {"Bearer not-a-token.only-for-the-quickstart"},
		"Impersonate-User": {"alice"},
	}
	exampleAsk(t, "http://"+login, upstream, []exampleCase{
		{
			name: "a browser that has logged in", url: "/login-proxy/oauth/authorize?client_id=console",
			fields: []string{password}, status: http.StatusOK, want: alice,
		},
		{
			name: "a browser that claims to be another user", url: "/login-proxy/oauth/authorize/approve",
			fields: []string{password, "X-Remote-User: admin", "X-Remote-User-Login: admin"},
			status: http.StatusOK, want: alice,
		},
		{
			name: "a browser that has not logged in", url: "/login-proxy/oauth/authorize",
			fields: []string{"X-Remote-User: admin"}, status: http.StatusUnauthorized,
		},
		{
			name: "another endpoint of the OAuth server", url: "/login-proxy/oauth/token",
			fields: []string{password}, status: http.StatusNotFound,
		},
		{name: "another path", url: "/", fields: []string{password}, status: http.StatusNotFound},
		{
			name: "oc", url: "/challenging-proxy/oauth/authorize", fields: []string{password, "X-Csrf-Token: 1"},
			status: http.StatusOK, want: alice,
		},
		{
			name: "a page elsewhere that uses the browser's password", url: "/challenging-proxy/oauth/authorize",
			fields: []string{password, "X-Csrf-Token:"}, status: http.StatusForbidden,
		},
	})

	t.Run("a client without the proxy's certificate is not the proxy", func(t *testing.T) {
		roots := x509.NewCertPool()
		ca, err := os.ReadFile(file("ca.pem"))
		if err != nil || !roots.AppendCertsFromPEM(ca) {
			t.Fatal("reading the ca: ", err)
		}
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Remote-User", "admin")
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if received := upstream.Take(); response.StatusCode != http.StatusUnauthorized || len(received) > 0 {
			t.Errorf("got %d, and the upstream received %v", response.StatusCode, received)
		}
	})
}

// exampleCertificates writes an authority, ca.pem, and two certificates by it: server.pem
// for localhost, and proxy.pem for a client, with their keys.
func exampleCertificates(t *testing.T, dir string) {
	t.Helper()
	ca := testpki.NewCA(t, nil, "ca", nil)
	for name, pair := range map[string]*testpki.Pair{
		"ca": ca,
		"server": ca.Leaf(t, func(c *x509.Certificate) {
			c.Subject, c.DNSNames = pkix.Name{CommonName: "server"}, []string{"localhost"}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"proxy": ca.Leaf(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "auth-proxy"} }),
	} {
		for file, text := range map[string]string{name + ".pem": testpki.PEM(pair), name + "-key.pem": testpki.KeyPEM(t, pair)} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
