// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The issuer has taken the old refresh token, whatever the new ID token is worth: a user with too
// many groups for an ID token is forbidden, and is not when that has been put right.
func TestARefreshWhoseUserIsForbiddenLosesNoTokens(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{TokenLife: 4 * time.Second, Users: users()}, siteOptions{oidc: "clock_skew 0s"})
	w := s.window(t)
	w.login("/")
	s.issuer.OnClaims(func(claims map[string]any) {
		delete(claims, "groups")
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://graph.example"}}
	})
	time.Sleep(3500 * time.Millisecond)
	if refused := w.fetch("/api"); refused.status != http.StatusForbidden || len(refused.header["Set-Cookie"]) == 0 {
		t.Errorf("status %d, cookies %q", refused.status, refused.header["Set-Cookie"])
	}
	s.issuer.OnClaims(nil)
	time.Sleep(4500 * time.Millisecond)
	w.wantUser("alice")
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); n != 2 || reused != 0 {
		t.Errorf("%d refreshes, %d tokens used twice", n, reused)
	}
}
