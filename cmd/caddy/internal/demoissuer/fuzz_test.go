// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// Whatever a client sends: nothing panics, browsers are sent to the configured URLs only, and only
// a password, a session, a code or a refresh token gives more.
func FuzzRequest(f *testing.F) {
	_, query, _ := strings.Cut(target(), "?")
	for _, seed := range []struct{ path, query, body, cookie string }{
		{authorizationPath, query, "user=alice&password=wrong", ""},
		{authorizationPath, query + "&prompt=none&max_age=1", "user=&password=", "a.b"},
		{authorizationPath, query + "&request=a", "", "."},
		{tokenPath, "", "client_id=dash&grant_type=authorization_code&code=a.b&redirect_uri=" + returnURL + "&code_verifier=" + verifier, ""},
		{tokenPath, "", "client_id=dash&grant_type=refresh_token&refresh_token=.", ""},
		{revocationPath, "", "client_id=dash&token=a.b", ""},
		{logoutPath, "id_token_hint=a.b.c&post_logout_redirect_uri=" + outURL + "&state=s", "", "a.b"},
	} {
		f.Add(seed.path, seed.query, seed.body, seed.cookie)
	}
	state, err := newState()
	if err != nil {
		f.Fatal(err)
	}
	h := settings()
	h.host, h.state, h.logger = "127.0.0.1:8083", state, zap.NewNop()
	state.newCode(state.login(session{}, users()[0]), authorization{})
	f.Fuzz(func(t *testing.T, path, query, body, cookie string) {
		if strings.Contains(body, "alice-demo") || strings.Contains(body, "bob-demo") {
			return // the fuzzer has found a password
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := request(method, "/", body)
			r.URL.Path, r.URL.RawQuery = path, query
			r.Header.Set("Cookie", "demo_issuer_8083="+cookie)
			w := httptest.NewRecorder()
			if err := h.ServeHTTP(w, r, nil); err != nil {
				t.Fatal(err)
			}
			to := w.Header().Get("Location")
			if to != "" && !strings.HasPrefix(to, outURL) && (!strings.HasPrefix(to, returnURL+"?error=") && !strings.HasPrefix(to, h.RedirectURLs[1]+"&error=")) {
				t.Errorf("the browser is sent to %q", to)
			}
			if strings.Contains(w.Body.String(), "id_token") && path == tokenPath {
				t.Errorf("there are tokens: %s", w.Body)
			}
			if state.sessions.Len() != 1 || state.grants.Len() != 1 {
				t.Fatal("a session or a grant was made or ended")
			}
		}
	})
}
