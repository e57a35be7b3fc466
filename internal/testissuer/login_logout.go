// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// serveEndSession ends the browser's session at the issuer (OpenID Connect RP-Initiated Logout
// 1.0, section 2). Without a hint it asks the user first.
func (l *Login) serveEndSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	client, hint, target := &l.config.Client, r.Form.Get("id_token_hint"), r.Form.Get("post_logout_redirect_uri")
	switch {
	case r.Form.Get("client_id") != client.ID:
		http.Error(w, "the client is not known", http.StatusBadRequest)
		return
	case hint != "" && !l.isHint(hint):
		http.Error(w, "the hint is not an ID token of this issuer", http.StatusBadRequest)
		return
	case target != "" && len(client.LogoutURLs) > 0 && !slices.Contains(client.LogoutURLs, target):
		http.Error(w, "the post_logout_redirect_uri is not registered", http.StatusBadRequest)
		return
	case hint == "" && r.Method != http.MethodPost:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>Log out</title><form method="post"><button id="submit">Log out</button></form>`)
		return
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		l.end(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1}) //nolint:gosec // it may be over plain http
	if target == "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = loggedOut.Execute(w, nil)
		return
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	if state := r.Form.Get("state"); state != "" {
		target += separator + url.Values{"state": {state}}.Encode()
	}
	http.Redirect(w, r, target, http.StatusFound) //nolint:gosec // a test decides which URLs are registered
}

var loggedOut = template.Must(template.New("logged out").Parse("<!doctype html><title>Logged out</title><p>Logged out at the test issuer.\n")) //nolint:gochecknoglobals // a template

// isHint accepts an ID token that this issuer has signed, also one that has expired.
func (l *Login) isHint(hint string) bool {
	input, signature := cutLast(hint)
	return l.Key(0).verifies(input, signature)
}

// end ends a session and its grants.
func (l *Login) end(secret string) {
	ended := l.sessions[secret]
	delete(l.sessions, secret)
	for _, g := range l.grants {
		if ended != nil && g.session == ended {
			g.revoked = true
		}
	}
}

// EndSessions ends all sessions at the issuer, as an administrator does: browsers have to log in
// again, and refresh tokens are refused.
func (l *Login) EndSessions() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for secret := range l.sessions {
		l.end(secret)
	}
}

// LogoutToken is a good logout token with changes (OpenID Connect Back-Channel Logout 1.0,
// section 2.4): nil removes a claim. It needs a sub or a sid of the caller's. The type is
// logout+jwt, or the one that is given.
func (l *Login) LogoutToken(changes map[string]any, kind ...string) string {
	now := time.Now()
	claims := map[string]any{
		"iss": l.URL, "aud": l.config.Client.ID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	key := l.Key(0)
	header := map[string]any{"alg": key.Alg, "kid": key.ID, "typ": "logout+jwt"}
	if len(kind) > 0 {
		header["typ"] = kind[0]
	}
	return key.Sign(header, claims)
}

// SendLogout posts a logout token to a back-channel endpoint, and returns the status.
func (*Login) SendLogout(tb testing.TB, client *http.Client, to, token string) int {
	tb.Helper()
	body := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, to, body)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		tb.Fatalf("sending a logout token: %v", err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// Claim reads one claim of a token that the issuer has made.
func Claim(tb testing.TB, token, name string) any {
	tb.Helper()
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		tb.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		tb.Fatal(err)
	}
	return claims[name]
}
