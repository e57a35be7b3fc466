// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// A thief of the key can seal a session, but cannot sign an ID token.
func TestAForgedSessionThatIsSealedWithTheRealKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "key_file " + file})
	w := s.window(t)
	w.login("/")
	keys, err := session.KeysFromFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := session.NewJar(session.JarConfig{Keys: keys, Limits: session.Limits{Lifetime: 12 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	place := session.Site{Host: host}
	genuine, err := jar.Open(t.Context(), []string{"kube_session=" + w.cookies()["kube_session"]}, place, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(change func(forged *session.Session)) int {
		t.Helper()
		forged := session.New(genuine.Source, time.Now())
		forged.IDToken, forged.Nonce, forged.RefreshToken = genuine.IDToken, genuine.Nonce, "made up"
		change(forged)
		lines, err := jar.Seal(forged, place, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pair, _, _ := strings.Cut(lines[0], ";")
		return s.window(t).ask(http.MethodGet, "/api", append(fetches(), "Cookie: "+pair)).status
	}
	if status := ask(func(*session.Session) {}); status != http.StatusOK {
		t.Fatalf("with the real token: status %d", status)
	}
	s.Upstream.Take()
	parts := strings.Split(genuine.IDToken, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	for name, claims := range map[string]string{
		"another user":             strings.Replace(string(payload), `"sub":"alice"`, `"sub":"admin"`, 1),
		"another user and expired": `{"sub":"admin","iss":"` + s.issuer.URL + `","aud":"dash","exp":1000000,"iat":1}`,
	} {
		token := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
		if status := ask(func(forged *session.Session) { forged.IDToken = token }); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if status := ask(func(forged *session.Session) { forged.Source = "other" }); status != http.StatusUnauthorized {
		t.Errorf("another source: status %d", status)
	}
	if status := ask(func(forged *session.Session) { forged.Created = time.Now().Add(-13 * time.Hour) }); status != http.StatusUnauthorized {
		t.Errorf("a session whose lifetime is over: status %d", status)
	}
	s.CheckNothing(t)
}

func TestHandleErrorsReplacesPagesButNotThoseOfTheCallback(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{before: "handle_errors {\nrespond \"custom {err.status_code}\"\n}"})
	w := s.window(t)
	if answer := w.open("http://name.test/a"); answer.text != "custom 400" || answer.status != http.StatusBadRequest {
		t.Errorf("a start over plain http: status %d, %s", answer.status, answer.text)
	}
	if answer := w.fetch("/a"); answer.text != "custom 401" {
		t.Errorf("fetch: status %d, %s", answer.status, answer.text)
	}
	answer := w.open("/kube-identity/callback?code=the-secret-code&state=the-secret-state")
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "This login cannot be finished") {
		t.Errorf("the callback: status %d, %s", answer.status, answer.text)
	}
	s.wantNoSecrets(t, "the-secret-code", "the-secret-state")
}

func TestAnIssuerThatIsDownAtTheStart(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{prepare: func(issuer *testissuer.Login) {
		issuer.Fault(testissuer.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	}})
	w := s.window(t)
	answer := w.open("/a")
	if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || len(answer.header["Set-Cookie"]) > 0 {
		t.Errorf("status %d, header %v", answer.status, answer.header)
	}
	s.issuer.Fault(testissuer.DiscoveryPath, nil)
	time.Sleep(2 * time.Second)
	w.login("/a")
	w.wantUser("alice")
}
