// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

func TestWhereTheCallbackIs(t *testing.T) {
	for name, test := range map[string]struct {
		options  siteOptions
		target   string
		fields   []string
		callback string // the redirect URI
		arrives  string // the path at the upstream
	}{
		"a site on a port": {
			siteOptions{}, "http://localhost:8080/a?b", nil, "http://localhost:8080/kube-identity/callback", "/a?b",
		},
		"a prefix that is stripped": {
			siteOptions{within: "handle_path /dash/*", session: "path /dash/kube-identity"},
			"http://localhost/dash/a?b", nil,
			"http://localhost/dash/kube-identity/callback", "/a?b",
		},
		"a rewritten path": {
			siteOptions{before: "rewrite /a /b"}, "http://localhost/a", nil, "http://localhost/kube-identity/callback", "/b",
		},
		"behind a trusted proxy that ends TLS on a port": {
			siteOptions{handler: "trusted_proxies static 127.0.0.1"},
			"http://inner.test/a",
			[]string{"X-Forwarded-Proto: https", "X-Forwarded-Host: dash.example:8443"},
			"https://dash.example:8443/kube-identity/callback", "/a",
		},
		"behind a proxy that says nothing": {
			siteOptions{login: "redirect_url https://dash.example/kube-identity/callback"},
			"http://dash.example/a", nil,
			"https://dash.example/kube-identity/callback", "/a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, testissuer.LoginConfig{}, test.options)
			w := s.window(t)
			ask := func(target string) reply { return w.ask(http.MethodGet, target, append(opens(), test.fields...)) }
			start := ask(test.target)
			if redirect := parameter(t, start.location, "redirect_uri"); redirect != test.callback {
				t.Fatalf("status %d, redirect_uri %q", start.status, redirect)
			}
			back := w.open(start.location).location
			pair, _, _ := strings.Cut(start.header.Get("Set-Cookie"), ";")
			test.fields = append(test.fields, "Cookie: "+pair) // the window speaks plain http, where its jar keeps Secure cookies back
			w.client.Jar = nil
			_, rest, _ := strings.Cut(strings.Replace(back, "https://", "http://", 1), "://")
			_, path, _ := strings.Cut(rest, "/")
			done := ask(test.target[:strings.Index(test.target[8:], "/")+8] + "/" + path)
			if done.status != http.StatusSeeOther || !strings.HasSuffix(done.location, test.target[strings.Index(test.target[8:], "/")+8:]) {
				t.Fatalf("the callback: status %d, location %q", done.status, done.location)
			}
			pair, _, _ = strings.Cut(done.header.Get("Set-Cookie"), ";")
			test.fields = append(test.fields[:len(test.fields)-1], "Cookie: "+pair)
			s.Upstream.Take()
			page := ask(test.target)
			received := s.Upstream.Take()
			if page.status != http.StatusOK || len(received) != 1 || received[0].Line != "GET "+test.arrives+" HTTP/1.1" || received[0].Header.Get("X-User") != "alice" {
				t.Errorf("status %d, the upstream received %+v", page.status, received)
			}
		})
	}
}

// A matcher that leaves the callback out sends it, with its code, to the upstream. The code is
// worth nothing there without the verifier, and the browser is not logged in.
func TestAMatcherThatLeavesTheCallbackOut(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{within: "handle /app/*"})
	w := s.window(t)
	answer := w.open(w.toCallback("/app/a"))
	if answer.status != http.StatusOK || answer.header["Set-Cookie"] != nil || s.issuer.Exchanges.Load() != 0 { // Caddy's answer where nothing is routed
		t.Errorf("status %d, header %v", answer.status, answer.header)
	}
	s.CheckNothing(t)
}

func TestARequestTargetInAbsoluteForm(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	for _, line := range []string{"GET http://localhost/a?b HTTP/1.1", "GET http://evil.localhost/a?b HTTP/1.1"} {
		status, header := s.send(t, line, opens())
		redirect := parameter(t, header.Get("Location"), "redirect_uri")
		if status != http.StatusSeeOther || !strings.HasSuffix(redirect, "localhost/kube-identity/callback") {
			t.Errorf("%s: status %d, redirect_uri %q", line, status, redirect)
		}
	}
	status, header := s.send(t, "GET http://evil.example/a HTTP/1.1", append(opens(), "X-Forwarded-Proto: https"))
	if status != http.StatusBadRequest || header["Location"] != nil || header["Set-Cookie"] != nil { // not loopback, and not TLS
		t.Errorf("another host: status %d, header %v", status, header)
	}
	s.CheckNothing(t)
}

func TestAnIssuerThatCannotBeUsed(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*testissuer.Login)
		log     string
	}{
		"it is down": {func(issuer *testissuer.Login) { issuer.Stop() }, "connection refused"},
		"a document of another issuer": {func(issuer *testissuer.Login) {
			issuer.OnDocument(func(document map[string]any) { document["issuer"] = "https://other.example" })
		}, "other.example"},
		"no token endpoint": {func(issuer *testissuer.Login) {
			issuer.OnDocument(func(document map[string]any) { delete(document, "token_endpoint") })
		}, "token_endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, testissuer.LoginConfig{}, siteOptions{prepare: test.prepare})
			w := s.window(t)
			answer := w.open("/a")
			if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || len(answer.header["Set-Cookie"]) > 0 ||
				!strings.Contains(answer.text, "Logging in is not possible now") || strings.Contains(answer.text, test.log) {
				t.Errorf("status %d, header %v\n%s", answer.status, answer.header, answer.text)
			}
			found := false
			for _, line := range s.Log(t) {
				found = found || line.Message == "login failed" && strings.Contains(line.Raw, test.log)
			}
			if !found {
				t.Errorf("the log does not say %q\n%s", test.log, s.LogText(t))
			}
		})
	}
}

func TestAnIssuerThatGoesDownDuringALogin(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	callback := w.toCallback("/a")
	s.issuer.Stop()
	answer := w.open(callback)
	if answer.status != http.StatusServiceUnavailable || w.cookies()["kube_session"] != "" {
		t.Errorf("the callback: status %d", answer.status)
	}
	s.issuer.Start(t)
	if answer := w.open(callback); answer.location != "http://"+host+"/a" { // the code was not spent
		t.Errorf("afterwards: status %d\n%s", answer.status, s.LogText(t))
	}
	w.wantUser("alice")
	s.issuer.Stop()
	w.wantUser("alice")
	if answer := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"}); answer.status != http.StatusSeeOther {
		t.Errorf("a logout: status %d", answer.status)
	}
	w.wantNobody()
	s.wantNoSecrets(t)
}

// An issuer that signs with a new key at once, while a client has just made the proxy ask for a
// key that does not exist: a refresh that is refused now is lost, and its refresh token spent.
func TestAnIssuersNewSigningKey(t *testing.T) {
	s := newSite(t, alwaysDue(), siteOptions{})
	w := s.window(t)
	w.login("/")
	old, fresh := s.issuer.Key(0), testissuer.RSA("fresh", 1)
	bad := testissuer.RSA("unknown", 1).Sign(map[string]any{"alg": "RS256", "kid": "unknown", "typ": "JWT"}, s.issuer.Claims(nil))
	if answer := s.window(t).ask(http.MethodGet, "/api", append(fetches(), "Authorization: Bearer "+bad)); answer.status != http.StatusUnauthorized {
		t.Errorf("a token of an unknown key: status %d", answer.status)
	}
	s.issuer.Publish(fresh, old)
	s.tokensLast()
	w.wantUser("alice") // refreshed
	other := s.window(t)
	other.login("/")
	other.wantUser("alice")
	s.issuer.Publish(fresh)
	w.wantUser("alice")
}

func TestAFormAfterTheSessionHasEnded(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	fields := []string{
		"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin",
		"Origin: http://" + host, "Content-Type: application/x-www-form-urlencoded",
	}
	answer := w.ask(http.MethodPost, "/delete", fields, "what=the-body-of-the-form")
	if answer.status != http.StatusUnauthorized || !strings.Contains(answer.text, `href="/kube-identity/login"`) || len(answer.header["Set-Cookie"]) > 0 ||
		strings.Contains(answer.text+s.LogText(t), "the-body-of-the-form") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	s.CheckNothing(t)
}

func TestKubectlWithoutACredential(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	answer := w.ask(http.MethodGet, "/api/v1/pods", []string{
		"Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "User-Agent: kubectl/v1.37.2 (linux/amd64) kubernetes/1234567",
	})
	if answer.status != http.StatusUnauthorized || answer.header.Get("WWW-Authenticate") != "Bearer" || len(answer.header["Set-Cookie"]) > 0 ||
		!strings.Contains(answer.text, `"kind":"Status"`) || !strings.Contains(answer.text, `"reason":"Unauthorized"`) {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	s.CheckNothing(t)
}

func TestALogoutReturnsToAnonymous(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{handler: "anonymous"})
	w := s.window(t)
	start := w.open("/kube-identity/login?to=/b")
	w.open(w.open(start.location).location)
	w.wantUser("alice")
	w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	w.wantUser("system:anonymous")
	if answer := w.open("/a"); answer.status != http.StatusOK {
		t.Errorf("a page: status %d", answer.status)
	}
}
