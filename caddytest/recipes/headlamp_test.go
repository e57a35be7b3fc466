// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// The API server knows the issuer, and names its users with a prefix of its own.
func TestRecipeHeadlampBehindOAuth2Proxy(t *testing.T) {
	const name = "headlamp-oauth2-proxy"
	h, issuer := headlamp.New(t), testkube.Server(t).Issuer
	c := start(t, recipe(
		t, name, "http://:8080", "http://:0", "10.0.0.5", testhandler.TrustedPeer, issuerAt, issuer.URL,
		"audience kubernetes", "audience "+issuer.Audience, "# trust_pool", "trust_pool", "/etc/caddy/login-ca.pem", issuer.CAFile,
		"127.0.0.1:4466", h.Listener.Addr().String(),
	))
	token := testkube.Sign(t, issuer, map[string]any{
		"email": "alice@example.com", "email_verified": true, "groups": []string{"developers", "ops"},
	})
	bearer := testhandler.Bearer(token)
	length := strconv.Itoa(len(testkube.ReviewBody))
	for when, fields := range map[string][]string{
		"": {bearer}, ", who claims more,": forged(bearer, "X-Forwarded-User: admin", "Cookie: _oauth2_proxy=x; headlamp-auth-main.0=y"),
	} {
		t.Run("alice"+when+" is alice to Headlamp and to the API server", func(t *testing.T) {
			const path = "/clusters/main" + testkube.ReviewPath
			fields = append(fields, "Content-Type: application/json", "Content-Length: "+length)
			answer := testkube.Send(t, c.Dial(t, testhandler.TrustedPeer), "POST "+path, fields, testkube.ReviewBody)
			answer.WantUser(t, apiserver.AuditUser{Username: "oidc:alice", UID: "alice", Groups: []string{"oidc:developers", "oidc:ops", "system:authenticated"}})
			want := testhandler.Proxied(testhandler.TrustedPeer, received(t, name, "<the ID token>", token))
			want["Host"], want["X-Forwarded-Host"] = []string{h.Listener.Addr().String()}, []string{"kube.example"}
			h.WantOnly(t, "POST "+path, testhandler.And(want, "Content-Type", "application/json", "Content-Length", length))
		})
	}
	t.Run("the fields of a proxy prove nothing", func(t *testing.T) {
		if got := c.Send(t, testhandler.TrustedPeer, "GET /clusters/main/me HTTP/1.1", forged("X-Forwarded-User: alice"), ""); got.Status != http.StatusUnauthorized {
			t.Errorf("status %d", got.Status)
		}
		h.WantNothing(t)
	})
}
