// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

func TestAReviewHasTheUserOfTheToken(t *testing.T) {
	token := sign(t, server.Issuer, "ES256", map[string]any{
		"sub": "dora", "groups": []string{"dev", "ops"}, "tenant": "acme",
	})
	status, user, err := server.SelfSubjectReview(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, answer{status: status, user: user}, apiserver.UserInfo{
		Username: "oidc:dora",
		UID:      "dora",
		Groups:   []string{"oidc:dev", "oidc:ops", "system:authenticated"},
		Extra:    map[string][]string{"example.com/tenant": {"acme"}},
	})
}

func TestAReviewOfARefusedTokenHasAStatusAndNoUser(t *testing.T) {
	for _, token := range []string{"garbage", ""} {
		status, user, err := server.SelfSubjectReview(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusUnauthorized || user.Username != "" {
			t.Errorf("%q = %d, %+v, want 401 and no user", token, status, user)
		}
	}
}

// sign is Sign for tests that need the token.
func sign(t *testing.T, issuer *apiserver.Issuer, alg string, claims map[string]any) string {
	t.Helper()
	token, err := issuer.Sign(alg, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// review asks which user a token belongs to.
func review(t *testing.T, of *apiserver.Server, token string) (int, apiserver.UserInfo) {
	t.Helper()
	status, user, err := of.SelfSubjectReview(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return status, user
}
