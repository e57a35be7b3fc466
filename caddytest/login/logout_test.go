// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const logout = "/kube-identity/logout"

func TestALogout(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	token := tokenIn(w.wantUser("alice"))
	copied := "Cookie: kube_session=" + w.cookies()["kube_session"]

	page := w.open(logout)
	if page.status != http.StatusOK || !strings.Contains(page.text, `<form method="post" action="`+logout+`">`) ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "form-action 'self' "+s.issuer.URL) {
		t.Errorf("status %d, policy %q\n%s", page.status, page.header.Get("Content-Security-Policy"), page.text)
	}
	w.wantUser("alice") // a GET does nothing
	answer := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin", "Origin: http://" + host})
	if answer.status != http.StatusSeeOther || !strings.HasPrefix(answer.location, s.issuer.URL+testissuer.EndSessionPath+"?") ||
		parameter(t, answer.location, "id_token_hint") != token || parameter(t, answer.location, "client_id") != "dash" ||
		parameter(t, answer.location, "post_logout_redirect_uri") != "http://"+host+logout {
		t.Errorf("status %d, location %q", answer.status, answer.location)
	}
	if after := w.open(answer.location); after.location != "http://"+host+logout {
		t.Errorf("the issuer sends the browser to %q with status %d", after.location, after.status)
	}
	if last := w.open(logout); last.status != http.StatusOK || !strings.Contains(last.text, "You are logged out") {
		t.Errorf("status %d\n%s", last.status, last.text)
	}
	if w.cookies()["kube_session"] != "" {
		t.Error("the cookie is still there")
	}
	w.wantNobody()
	bare := s.window(t)
	if answer := bare.ask(http.MethodGet, "/api", append(fetches(), copied)); answer.status != http.StatusUnauthorized {
		t.Errorf("a copy of the cookie: status %d", answer.status)
	}
	if answer := bare.ask(http.MethodGet, "/api", append(fetches(), "Authorization: Bearer "+token)); answer.status != http.StatusUnauthorized {
		t.Errorf("the hint as a bearer token: status %d", answer.status)
	}
	testhandler.WaitUntil(t, "the refresh token is revoked", func() bool { return s.issuer.Revocations.Load() == 1 })
	s.wantNoSecrets(t)
}

func TestAnotherSitesPageCannotLogOut(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	for name, fields := range map[string][]string{
		"a form of another site":       {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"a form of a neighbouring one": {"Sec-Fetch-Site: same-site", "Origin: http://other.localhost"},
		"an old browser":               {"Origin: https://evil.example"},
		"a client that says nothing":   nil,
	} {
		if answer := w.ask(http.MethodPost, logout, fields); answer.status != http.StatusForbidden || len(answer.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: status %d", name, answer.status)
		}
	}
	w.ask(http.MethodGet, logout, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"})
	w.wantUser("alice")
}

func TestALogoutWhereTheIssuerHasNoPageForIt(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{
		session: "post_logout_url /bye",
		prepare: func(issuer *testissuer.Login) {
			issuer.OnDocument(func(document map[string]any) { delete(document, "end_session_endpoint") })
		},
	})
	w := s.window(t)
	w.login("/")
	answer := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	if answer.status != http.StatusSeeOther || answer.location != "http://"+host+"/bye" {
		t.Errorf("status %d, location %q", answer.status, answer.location)
	}
	w.wantNobody()
}

func TestAReloadLosesNothing(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{Users: users()}, siteOptions{})
	w, ended := s.window(t), s.window(t)
	callback := w.toCallback("/a")
	s.reload(t)
	if answer := w.open(callback); answer.location != "http://"+host+"/a" {
		t.Fatalf("a login during a reload: status %d", answer.status)
	}
	ended.login("/")
	cookie := "Cookie: kube_session=" + ended.cookies()["kube_session"]
	ended.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	s.options.handler = "max_groups 100"
	s.reload(t)
	w.wantUser("alice")
	if answer := s.window(t).ask(http.MethodGet, "/api", append(fetches(), cookie)); answer.status != http.StatusUnauthorized {
		t.Errorf("a session that was logged out before: status %d", answer.status)
	}
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.TokenAge, config.TokenLife = 2*time.Hour, 10*time.Minute })
	w = s.window(t)
	w.login("/") // its token is due at once
	s.tokensLast()
	asked := make(chan struct{}, 1)
	s.issuer.OnAnswer(func(map[string]any) {
		asked <- struct{}{}
		time.Sleep(time.Second)
	})
	done := make(chan reply, 1)
	go func() { done <- w.fetch("/api") }()
	<-asked
	s.reload(t)
	if answer := <-done; answer.status != http.StatusOK {
		t.Errorf("a refresh during a reload: status %d", answer.status)
	}
	s.issuer.OnAnswer(nil)
	w.wantUser("alice")
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); n != 1 || reused != 0 {
		t.Errorf("%d refreshes, %d tokens used twice", n, reused)
	}
}

func TestAChangedSecretIsUsed(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.Client.Secret = "another" })
	w := s.window(t)
	if answer := w.open(w.toCallback("/")); answer.status != http.StatusServiceUnavailable {
		t.Errorf("with the old secret: status %d", answer.status)
	}
	if err := os.WriteFile(s.secret, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.login("/")
}

// reload loads the configuration again.
func (s *site) reload(t *testing.T) {
	t.Helper()
	s.Reload(t, s.options.global, strings.ReplaceAll(s.config(), "%[1]s", s.Upstream.Addr))
}
