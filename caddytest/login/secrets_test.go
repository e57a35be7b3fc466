// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// All that a login, a refresh, a failure and a logout have as secrets, against all that an
// operator gets to see of them: the log at the level debug, the access log, and the metrics.
func TestLogsAndMetricsHaveNoSecrets(t *testing.T) {
	file, jar := newKeyFile(t)
	s := newSite(t, alwaysDue(), siteOptions{
		session: "key_file " + file, global: "metrics", before: "log", handler: "deny_users bob",
		more: "http://metrics.test:0 {\n\tmetrics\n}\n",
	})
	var secrets []string
	w := s.window(t)
	keep := func() {
		for _, value := range w.cookies() {
			secrets = append(secrets, value)
		}
	}
	place := session.Site{Host: host}
	login := func(page string) string {
		t.Helper()
		start := w.open(page)
		keep()
		state := parameter(t, start.location, "state")
		binding, err := jar.OpenBinding(t.Context(), []string{"kube_login=" + w.cookies()["kube_login"]}, place, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		attempt, _, err := jar.OpenState(t.Context(), state, binding, place, time.Now())
		if err != nil || attempt == nil {
			t.Fatal(err)
		}
		secrets = append(secrets, state, binding.Nonce(attempt), binding.Verifier(attempt), parameter(t, start.location, "code_challenge"))
		return w.open(start.location).location
	}
	callback := login("/a?token-like=no")
	other := login("/b")
	w.open(withParameter(t, callback, "code", parameter(t, other, "code"))) // the verifier does not fit
	w.open(withParameter(t, callback, "iss", "https://other.example"))
	w.ask(http.MethodHead, callback, opens())
	s.window(t).open(callback) // another browser
	w.open(callback)           // the code was not spent: another attempt's was
	keep()
	w.fetch("/api") // refreshes
	keep()
	w.open(callback) // back
	s.issuer.Fault(testissuer.TokenPath, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error": "the-error", "error_description": "the-description", "refresh_token": "a-token-in-an-error"}`))
	})
	w.fetch("/api")
	s.issuer.Fault(testissuer.TokenPath, nil)
	w.fetch("/kube-identity/session")
	w.ask(http.MethodGet, "/api", append(fetches(), "Cookie: kube_session="+w.cookies()["kube_session"]+"x")) // twice
	keep()
	done := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	w.open(done.location)
	w.ask(http.MethodGet, "/api", append(fetches(), "Authorization: Bearer "+parameter(t, done.location, "id_token_hint")))
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
	w = s.window(t)
	w.open(login("/c"))
	keep()
	w.open("/c") // refused by the policy
	metrics := s.window(t).ask(http.MethodGet, "http://metrics.test/", nil).text
	if !strings.Contains(metrics, "kube_identity_login") {
		t.Errorf("there are no metrics of logins:\n%s", metrics)
	}
	logins := 0
	for _, line := range s.Log(t) {
		if line.Message == "logged in" {
			logins++
		}
	}
	if logins != 2 || len(secrets) < 15 {
		t.Errorf("%d logins in the log, %d secrets", logins, len(secrets))
	}
	secrets = append(secrets, "dash-secret", "a-token-in-an-error")
	s.wantNoSecrets(t, secrets...)
	for _, secret := range append(secrets, s.issuer.Issued()...) {
		if secret != "" && strings.Contains(metrics, secret) {
			t.Errorf("the metrics have the secret %s", secret)
		}
	}
	for _, received := range s.Upstream.Take() {
		if strings.Contains(received.Line, "code=") || strings.Contains(received.Line, "state=") {
			t.Errorf("the upstream received %s", received.Line)
		}
	}
}

// A bearer token that oidc does not know goes to the source after it, although there is a session.
func TestASourceAfterALogin(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{
		handler: "trusted_proxies static 127.0.0.1", sources: "forwarded {\n\t\t\tuser X-Forwarded-User\n\t\t}",
	})
	w := s.window(t)
	w.wantUser("carol", "X-Forwarded-User: carol")
	w.login("/")
	w.wantUser("alice")
	w.wantUser("alice", "X-Forwarded-User: carol") // the order decides
	if answer := w.ask(http.MethodGet, "/api", append(fetches(), "Authorization: Bearer opaque")); answer.status != http.StatusUnauthorized {
		t.Errorf("a token that no source knows: status %d", answer.status)
	}
}
