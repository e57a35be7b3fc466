// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// TestExampleTraefik: Traefik sends the fields that oauth2-proxy's answer to its ForwardAuth
// had.
func TestExampleTraefik(t *testing.T) {
	fields := []string{"X-Auth-Request-User: alice", "X-Auth-Request-Groups: developers,chess-club", "X-Auth-Request-Email: alice@example.com"}
	alice := impersonated("alice", "developers")
	withCookie := alice.Clone()
	withCookie["Cookie"] = []string{"theme=dark"}
	certExampleRun(t, "traefik", "", nil).ask(t, []certExampleCase{
		{name: "a user whom oauth2-proxy let in", fields: fields, status: http.StatusOK, want: alice},
		{name: "and cannot be another user", fields: claimsBesides(fields...), status: http.StatusOK, want: alice},
		{
			name: "without the sessions", fields: append([]string{"Cookie: _oauth2_proxy=x; kiali-token-a=y; theme=dark"}, fields...),
			status: http.StatusOK, want: withCookie,
		},
		{name: "no user whom it did not name", fields: claimsBesides("X-Forwarded-User: admin"), status: http.StatusUnauthorized},
		{name: "no user past Traefik", from: "127.0.0.2", fields: fields, status: http.StatusUnauthorized},
	})
}

// TestExampleAWSOIDC: only the load balancer's field with a signed token counts.
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
		{name: "a user of the issuer", fields: with(token), status: http.StatusOK, want: alice},
		{name: "and cannot be another user", fields: claimsBesides(with(token)...), status: http.StatusOK, want: alice},
		{
			name: "without the sessions", status: http.StatusOK, want: withCookie,
			fields: append(with(token), "Cookie: AWSELBAuthSessionCookie-0=x; theme=dark; AWSELBAuthSessionCookie-1=y"),
		},
		{name: "no user with the fields that prove nothing here", fields: data, status: http.StatusUnauthorized},
		{name: "no user with a token for another application", fields: with(other), status: http.StatusUnauthorized},
		{name: "no user with a token that is not a JWT", fields: with("opaque"), status: http.StatusUnauthorized},
	})
}

// TestExampleOpenUnison: the dashboard gets requests in the name of the token's user.
func TestExampleOpenUnison(t *testing.T) {
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	e := certExampleRun(t, "openunison", "", tokenExample(t, issuer, api))
	token := "Authorization: Bearer " + issuer.Token(t, map[string]any{"groups": []string{"ops", "chess-club"}, "sub": "alice"})
	alice := impersonatedBy(t, api, "sso:alice", "sso:ops")
	e.ask(t, []certExampleCase{
		{name: "a user with a token of the issuer", fields: []string{token}, status: http.StatusOK, want: alice},
		{
			name: "and cannot be another user", fields: []string{token, "Impersonate-User: admin", "Impersonate-Group: system:masters"},
			status: http.StatusOK, want: alice,
		},
		{name: "no user without one", fields: []string{"Impersonate-User: admin"}, status: http.StatusUnauthorized},
		{name: "no user with the account's own", fields: []string{"Authorization: Bearer " + api.LastToken()}, status: http.StatusUnauthorized},
	})
	e.ask(t, crossSite(token, alice))
	if _, requests := api.Calls(); len(requests) != 1 ||
		requests[0].Path != "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity/token" {
		t.Errorf("the API server was asked for tokens: %+v", requests)
	}
}
