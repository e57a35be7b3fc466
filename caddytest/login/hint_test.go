// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// A hint at a logout went through an address bar. No source of the site may take it as a bearer
// token, and not only the one of the login: another may know the issuer too.
func TestAHintOfALogoutIsRefusedByEverySource(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	s.options.sources = "oidc " + s.issuer.URL + " {\n audience dash\n username_claim sub -\n token_header X-Other-Token\n}"
	s.reload(t)
	w := s.window(t)
	w.login("/")
	token := tokenIn(w.wantUser("alice"))
	bare := s.window(t)
	ask := func() int {
		return bare.ask(http.MethodGet, "/api", append(fetches(), "X-Other-Token: "+token)).status
	}
	if status := ask(); status != http.StatusOK {
		t.Fatalf("before the logout: status %d", status)
	}
	w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin", "Origin: http://" + host})
	if status := ask(); status != http.StatusUnauthorized {
		t.Errorf("after the logout: status %d", status)
	}
}
