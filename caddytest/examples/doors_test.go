// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// TestExampleTraefik: Traefik sends what oauth2-proxy answered to its ForwardAuth.
func TestExampleTraefik(t *testing.T) {
	fields := []string{"X-Auth-Request-User: alice", "X-Auth-Request-Groups: developers,chess-club", "X-Auth-Request-Email: alice@example.com"}
	alice := impersonated("alice", "developers")
	withCookie := alice.Clone()
	withCookie["Cookie"] = []string{"theme=dark"}
	certExampleRun(t, "traefik", "", nil).ask(t, []certExampleCase{
		{name: "whom oauth2-proxy let in", fields: fields, status: http.StatusOK, want: alice},
		{name: "and cannot be somebody else", fields: claimsBesides(fields...), status: http.StatusOK, want: alice},
		{
			name: "without the sessions", fields: append([]string{"Cookie: _oauth2_proxy=x; kiali-token-a=y; theme=dark"}, fields...),
			status: http.StatusOK, want: withCookie,
		},
		{name: "nobody whom it did not name", fields: claimsBesides("X-Forwarded-User: admin"), status: http.StatusUnauthorized},
		{name: "nobody past Traefik", from: "127.0.0.2", fields: fields, status: http.StatusUnauthorized},
	})
}

// TestExampleAWSOIDC: of the load balancer's fields the one counts that proves itself.
func TestExampleAWSOIDC(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	token := issuer.Token(t, map[string]any{"preferred_username": "alice", "groups": []string{"developers", "chess-club"}})
	other := issuer.Token(t, map[string]any{"preferred_username": "alice", "aud": "other"})
	data := []string{"X-Amzn-Oidc-Identity: admin", "X-Amzn-Oidc-Data: eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9Cg==.c2ln"}
	with := func(token string) []string { return append([]string{"X-Amzn-Oidc-Accesstoken: " + token}, data...) }
	alice := impersonated("sso:alice", "sso:developers")
	withCookie := alice.Clone()
	withCookie["Cookie"] = []string{"theme=dark"}
	env := map[string]string{"OIDC_ISSUER": issuer.URL, "OIDC_AUDIENCE": "dash"}
	certExampleRun(t, "aws-alb-oidc", "", env).ask(t, []certExampleCase{
		{name: "whom the issuer knows", fields: with(token), status: http.StatusOK, want: alice},
		{name: "and cannot be somebody else", fields: claimsBesides(with(token)...), status: http.StatusOK, want: alice},
		{
			name: "without the sessions", status: http.StatusOK, want: withCookie,
			fields: append(with(token), "Cookie: AWSELBAuthSessionCookie-0=x; theme=dark; AWSELBAuthSessionCookie-1=y"),
		},
		{name: "nobody with the fields that prove nothing here", fields: data, status: http.StatusUnauthorized},
		{name: "nobody with a token for another application", fields: with(other), status: http.StatusUnauthorized},
		{name: "nobody with a token that is no JWT", fields: with("opaque"), status: http.StatusUnauthorized},
	})
}

// TestExampleOpenUnison: the dashboard is asked in the name of whoever has a token.
func TestExampleOpenUnison(t *testing.T) {
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	e := certExampleRun(t, "openunison", "", tokenExample(t, issuer, api))
	token := "Authorization: Bearer " + issuer.Token(t, map[string]any{"groups": []string{"ops", "chess-club"}, "sub": "alice"})
	alice := impersonatedBy(t, api, "sso:alice", "sso:ops")
	e.ask(t, []certExampleCase{
		{name: "whoever has a token of the issuer's", fields: []string{token}, status: http.StatusOK, want: alice},
		{
			name: "and cannot be somebody else", fields: []string{token, "Impersonate-User: admin", "Impersonate-Group: system:masters"},
			status: http.StatusOK, want: alice,
		},
		{name: "nobody without one", fields: []string{"Impersonate-User: admin"}, status: http.StatusUnauthorized},
		{name: "nobody with the account's own", fields: []string{"Authorization: Bearer " + api.LastToken()}, status: http.StatusUnauthorized},
	})
	if _, requests := api.Calls(); len(requests) != 1 ||
		requests[0].Path != "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity/token" {
		t.Errorf("the API server was asked for tokens: %+v", requests)
	}
}
