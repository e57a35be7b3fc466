// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The user of a site with a wrong secret waited in vain: the page said that the login service was out of reach.
func TestAWrongSecretIsNotAnIssuerOutOfReach(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.Client.Secret = "another" })
	w := s.window(t)
	answer := w.open(w.toCallback("/"))
	if answer.status != http.StatusServiceUnavailable || !strings.Contains(answer.text, "Please tell its operator") ||
		strings.Contains(answer.text, "invalid_client") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	if w.cookies()["kube_session"] != "" {
		t.Error("there is a session")
	}
}
