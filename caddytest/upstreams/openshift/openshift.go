// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package openshift

import (
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

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// User is a logged-in user as the OAuth server knows it.
type User struct{ Name, Preferred, Display, Email string }

// Server is OpenShift's OAuth server with an identity provider RequestHeader
// (openshift/oauth-server, pkg/authenticator/request/headerrequest and .../redirector,
// pkg/oauthserver/auth.go).
type Server struct {
	*httptest.Server
	testhandler.Recorder

	cas   *x509.CertPool // ca
	names []string       // clientCommonNames

	mu                  sync.Mutex
	login, challenge    string // loginURL, challengeURL
	codes               map[string]User
	headers, preferreds []string
}

// Callback is where a client of the OAuth server waits for its code.
const Callback = "http://app.example/callback"

// New starts an OAuth server with a certificate by ca, which trusts proxies below proxies.
func New(tb testing.TB, ca, proxies *testpki.Pair) *Server {
	tb.Helper()
	o := &Server{
		cas: x509.NewCertPool(), names: []string{"auth-proxy", "other-proxy"}, codes: make(map[string]User),
		headers: []string{"SSO-User", "X-Remote-User"}, preferreds: []string{"X-Remote-User-Login"},
	}
	o.cas.AddCert(proxies.Cert)
	leaf := ca.Leaf(tb, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.Record(r)
		if r.URL.Path != "/oauth/authorize" && !strings.HasPrefix(r.URL.Path, "/oauth/authorize/") {
			http.NotFound(w, r)
			return
		}
		o.authorize(w, r)
	}))
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Cert.Raw}, PrivateKey: leaf.Key}}, ClientAuth: tls.RequestClientCert,
	}
	o.StartTLS()
	tb.Cleanup(o.Close)
	return o
}

// first returns the first of the fields whose first line is not empty.
func (*Server) first(header http.Header, names ...string) string {
	for _, name := range names {
		if value := header.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// proxy verifies the certificate of the proxy. Without a certificate it has no opinion.
func (o *Server) proxy(r *http.Request) (opinion bool, err error) {
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

func (o *Server) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	opinion, err := o.proxy(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	user := User{
		Name: o.first(r.Header, o.headers...), Preferred: o.first(r.Header, o.preferreds...),
		Display: o.first(r.Header, "X-Remote-User-Display-Name"), Email: o.first(r.Header, "X-Remote-User-Email"),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !opinion || user.Name == "" {
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
	name := user.Name
	if user.Preferred != "" {
		name = user.Preferred
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

// User returns the user who got a code, if the redirect is to the callback with one.
func (o *Server) User(tb testing.TB, location string) User {
	tb.Helper()
	parsed, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, Callback+"?") || parsed.Query().Get("state") != "a b&c" {
		tb.Fatalf("Location = %q, want the callback", location)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	user, found := o.codes[parsed.Query().Get("code")]
	if !found {
		tb.Errorf("there is no such code: %q", location)
	}
	return user
}

// Wants sets where the server sends a client without a user.
func (o *Server) Wants(login, challenge string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.login, o.challenge = login, challenge
}

// Query is the query of a client's request.
func Query(client string) string {
	return "client_id=" + client + "&redirect_uri=" + url.QueryEscape(Callback) + "&response_type=code&state=a+b%26c"
}
