// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// loginExample is an example at which browsers log in. The issuer shows a form.
type loginExample struct {
	*exampleBrowser

	site     string
	issuer   *testissuer.Login
	upstream *testhandler.Upstream
	run      *quickstart
}

// loginExampleRun starts an example unchanged, with alice's claims at the issuer. The issuer knows
// only the URLs that the example's comment says.
func loginExampleRun(t *testing.T, name string, upstream *testhandler.Upstream, env map[string]string) *loginExample {
	t.Helper()
	site := "http://localhost:" + freeport.Ports(t, 1)[0]
	secret := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(secret, []byte("dash-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := testissuer.NewLogin(t, testissuer.LoginConfig{
		Interactive: true, OfflineAccess: true,
		Client: testissuer.Client{
			ID: "dash", Secret: "dash-secret",
			RedirectURLs: []string{site + "/kube-identity/callback"}, LogoutURLs: []string{site + "/kube-identity/logout"},
		},
		Users: map[string]testissuer.User{"alice": {Password: "alice-password", Claims: map[string]any{
			"preferred_username": "alice", "email": "alice@example.com", "email_verified": true, "groups": []string{"developers", "chess-club"},
		}}},
	})
	all := map[string]string{"ADDRESS": site, "UPSTREAM": upstream.Addr, "OIDC_ISSUER": issuer.URL, "OIDC_CLIENT": "dash", "OIDC_SECRET": secret}
	maps.Copy(all, env)
	run := quickstartRun(t, program.Path(t), []string{"run", "--config", "examples/" + name + ".caddyfile"}, all, strings.TrimPrefix(site, "http://"))
	return &loginExample{newExampleBrowser(t), site, issuer, upstream, run}
}

// received is what the upstream knows of the user.
func (e *loginExample) received(t *testing.T) http.Header {
	t.Helper()
	all := e.upstream.Take()
	if len(all) != 1 {
		t.Fatalf("the upstream received %d requests: %v\n%s", len(all), all, e.run.read(t))
	}
	got := http.Header{}
	for name, values := range all[0].Header {
		if strings.HasPrefix(name, "Impersonate-") || strings.HasPrefix(name, "X-Forwarded-") && !slices.Contains([]string{
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		}, name) || name == "Authorization" || name == "Cookie" {
			got[name] = values
		}
	}
	return got
}

// wantReceived asserts what the upstream knows of the user.
func (e *loginExample) wantReceived(t *testing.T, when string, want http.Header) {
	t.Helper()
	if got := e.received(t); !reflect.DeepEqual(got, want) {
		t.Errorf("%s the upstream received\n%v, want\n%v", when, got, want)
	}
}

// follows logs a browser in and out, as its users do. The upstream gets the identity that want
// says, whatever the browser claims besides.
func (e *loginExample) follows(t *testing.T, want func() http.Header) {
	t.Helper()
	forged := []string{"X-Forwarded-User: admin", "X-Forwarded-Email: admin", "X-Remote-User: admin", "X-Remote-Group: system:masters"}
	if answer := e.fetch(e.site+"/", forged...); answer.status != http.StatusUnauthorized {
		t.Errorf("a page's own request before the login gets %d", answer.status)
	}
	form := e.openOnceReady(e.site + "/console?namespace=a&b=c")
	if received := e.upstream.Take(); len(received) > 0 || !strings.HasPrefix(form.url, e.issuer.URL) {
		t.Fatalf("before the login the browser is at %s %d, and the upstream received %v\n%s", form.url, form.status, received, e.run.read(t))
	}
	page := e.submit(form, url.Values{"user": {"alice"}, "password": {"alice-password"}})
	if page.url != e.site+"/console?namespace=a&b=c" || page.status != http.StatusOK {
		t.Fatalf("after the login the browser is at %s %d\n%s\n%s", page.url, page.status, page.body, e.run.read(t))
	}
	e.wantReceived(t, "after the login", want())
	e.fetch(e.site+"/api", forged...)
	e.wantReceived(t, "for a page's own request with forged fields", want())
	if answer := e.ask(http.MethodPost, e.site+"/api", url.Values{}, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"); answer.status != http.StatusForbidden {
		t.Errorf("a page of another site gets %d", answer.status)
	}
	out := e.submit(e.open(e.site+"/kube-identity/logout"), url.Values{})
	if out.url != e.site+"/kube-identity/logout" || !strings.Contains(out.body, "You are logged out") || e.issuer.Logouts.Load() != 1 {
		t.Errorf("after the logout the browser is at %s, and the issuer was told %d times\n%s", out.url, e.issuer.Logouts.Load(), out.body)
	}
	if answer := e.fetch(e.site + "/api"); answer.status != http.StatusUnauthorized {
		t.Errorf("a page's own request after the logout gets %d", answer.status)
	}
	if received := e.upstream.Take(); len(received) > 0 {
		t.Errorf("the upstream received %v", received)
	}
}

// wantNoSecrets searches the log for all that the issuer has made, and for more.
func (e *loginExample) wantNoSecrets(t *testing.T, more ...string) {
	t.Helper()
	text := e.run.read(t)
	for _, secret := range slices.Concat(e.issuer.Issued(), more, []string{"dash-secret"}) {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

func TestExampleKialiLogin(t *testing.T) {
	api := testreview.New(t)
	// Kiali puts the token that it receives into a cookie of the browser
	upstream := testhandler.NewUpstreamWith(t, func(conn net.Conn, _ *bufio.Reader, _ testhandler.Received) bool {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: kiali-token-Kubernetes=the-proxys\r\n\r\n")
		return err == nil
	})
	env := tokenExample(t, testissuer.NewBy(t, nil), api)
	delete(env, "OIDC_ISSUER")
	e := loginExampleRun(t, "kiali-login", upstream, env)
	e.follows(t, func() http.Header {
		want := impersonatedBy(t, api, "sso:alice", "sso:developers")
		for _, cookie := range e.client.Jar.Cookies(&url.URL{Scheme: "http", Host: "localhost", Path: "/"}) {
			if strings.HasPrefix(cookie.Name, "kiali-token") {
				t.Errorf("the browser has Kiali's cookie %s", cookie.Name)
			}
		}
		return want
	})
	e.wantNoSecrets(t, api.Tokens()...)
}

func TestExampleHeadlampLogin(t *testing.T) {
	e := loginExampleRun(t, "headlamp-login", testhandler.NewUpstream(t), nil)
	e.follows(t, func() http.Header {
		tokens := e.issuer.Issued() // one of them is the ID token
		i := slices.IndexFunc(tokens, func(token string) bool { return strings.Count(token, ".") == 2 })
		return http.Header{
			"Authorization": {"Bearer " + tokens[i]}, "X-Forwarded-User": {"alice@example.com"}, "X-Forwarded-Email": {"alice@example.com"},
			"X-Forwarded-Group": {"developers,chess-club"},
		}
	})
	e.wantNoSecrets(t)
}

// A browser and kubectl use one site. The API server gets both as impersonated users.
func TestExampleKubeAPIServerLogin(t *testing.T) {
	token, file := canaryToken(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	api := testhandler.NewUpstream(t)
	e := loginExampleRun(t, "kube-apiserver-login", api, map[string]string{
		"KUBE_API": "https://" + loginTLS(t, api, ca), "KUBE_CA": ca, "KUBE_TOKEN": file,
	})
	alice := func() http.Header {
		return http.Header{
			"Authorization": {"Bearer " + token}, "Impersonate-User": {"alice@example.com"}, "Impersonate-Group": {"developers"},
		}
	}
	e.follows(t, alice)
	kubectl := func(claims map[string]any, fields ...string) quickstartAnswer {
		t.Helper()
		all := map[string]any{"aud": "kubectl", "email": "alice@example.com", "email_verified": true, "groups": []string{"developers", "chess-club"}}
		maps.Copy(all, claims)
		return quickstartAsk(t, e.site+"/api/v1/pods", append(fields, "Authorization: Bearer "+e.issuer.Token(t, all), "User-Agent: kubectl/v1.37.2", "Accept: application/json")...)
	}
	if answer := kubectl(nil); answer.status != http.StatusOK {
		t.Errorf("kubectl gets %d\n%s", answer.status, e.run.read(t))
	}
	e.wantReceived(t, "from kubectl", alice())
	for name, answer := range map[string]quickstartAnswer{
		"kubectl --as":                        kubectl(nil, "Impersonate-User: admin"),
		"a token for another application":     kubectl(map[string]any{"aud": "chat"}),
		"kubectl without a token":             quickstartAsk(t, e.site+"/api", "User-Agent: kubectl/v1.37.2", "Accept: application/json"),
		"a session of one browser in another": quickstartAsk(t, e.site+"/api", "Cookie: kube_session=x"),
	} {
		want := http.StatusUnauthorized
		if name == "kubectl --as" {
			want = http.StatusForbidden
		}
		if answer.status != want || answer.header.Get("Location") != "" {
			t.Errorf("%s gets %d, want %d", name, answer.status, want)
		}
	}
	if received := e.upstream.Take(); len(received) > 0 {
		t.Errorf("the upstream received %v", received)
	}
	e.wantNoSecrets(t, token)
}

// loginTLS puts TLS ahead of an upstream, by an authority that it writes into a file. It returns
// the address.
func loginTLS(t *testing.T, upstream *testhandler.Upstream, file string) string {
	t.Helper()
	config := canaryTLS(t, &canaryExample{env: map[string]string{"KUBE_CA": file}})
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				behind, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", upstream.Addr)
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(behind, conn)
					_ = behind.Close()
				}()
				_, _ = io.Copy(conn, behind)
			}()
		}
	}()
	return listener.Addr().String()
}
