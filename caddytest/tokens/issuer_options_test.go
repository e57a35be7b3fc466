// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// Keycloak gives the access tokens of all its clients the audience "account", and has its roles
// inside of another claim. A token of another client passed, and users had no groups.
func TestTokenOfKeycloak(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("party", oidcFor(t, issuer, "audience account", "authorized_party cli"), "inject front_proxy"),
		tokenBlock("roles", rolesBlock(t, issuer, "/realm_access/roles kc:"), "inject headers {\n user X-Remote-User\n groups X-Remote-Group\n}"),
		tokenBlock("dots", rolesBlock(t, issuer, "realm_access.roles kc:"), "inject headers {\n user X-Remote-User\n groups X-Remote-Group\n}"),
	))
	account := func(azp any) string {
		return issuer.Token(t, map[string]any{"aud": "account", "azp": azp, "groups": nil, "jti": nil})
	}
	for _, azp := range []string{"cli", "account"} {
		g.goesOn(t, "party", account(azp), http.Header{"X-Remote-User": {"oidc:alice"}})
	}
	g.isRefused(t, "party", account("evil"), 401, `rejected: the token was issued to another client: "evil" (azp)`)
	g.isRefused(t, "party", account(nil), 401, "rejected: the token does not say to which client it was issued (azp)")

	roles := issuer.Token(t, map[string]any{"realm_access": map[string]any{"roles": []string{"dev", "ops"}}})
	g.goesOn(t, "roles", roles, http.Header{"X-Remote-User": {"oidc:alice"}, "X-Remote-Group": {"kc:dev", "kc:ops"}})
	const line = `the token has no claim \"realm_access.roles\", but the JSON Pointer \"/realm_access/roles\" leads to one`
	for range 3 {
		g.goesOn(t, "dots", roles, http.Header{"X-Remote-User": {"oidc:alice"}})
	}
	if said := strings.Count(g.LogText(t), line); said != 1 {
		t.Errorf("the log says %d times that there are no groups", said)
	}
}

// rolesBlock is a source with another claim of groups.
func rolesBlock(t *testing.T, i *testissuer.Issuer, groups string) string {
	t.Helper()
	return strings.Replace(oidcBlock(t, i), "groups_claim groups oidc:", "groups_claim "+groups, 1)
}

// A token that expired a second ago is within the skew. Kiali, which got it, answered 500.
func TestTokenIsNotSentToTheUpstreamAfterItExpired(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("token", oidcBlock(t, issuer), "inject token"),
		tokenBlock("headers", oidcBlock(t, issuer), "inject headers {\n user X-Remote-User\n token X-App-Token\n}"),
		tokenBlock("user", oidcBlock(t, issuer), "inject headers {\n user X-Remote-User\n}"),
		tokenBlock("zero", oidcBlock(t, issuer, "clock_skew 0s"), "inject headers {\n user X-Remote-User\n}"),
	))
	expired := issuer.Token(t, map[string]any{"exp": time.Now().Add(-2 * time.Second).Unix()})
	g.isRefused(t, "token", expired, 401, "rejected: the credential has expired")
	g.isRefused(t, "headers", expired, 401, "rejected: the credential has expired")
	g.isRefused(t, "zero", expired, 401, "rejected: the token expired …")
	g.goesOn(t, "user", expired, http.Header{"X-Remote-User": {"oidc:alice"}})
}

// The issuer hangs, and a client sends more forged tokens with invented key ids than may be
// under judgement at once. They kept out the first token of every user.
func TestTokenFloodWhileTheIssuerHangs(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", oidcBlock(t, issuer), "inject token")))
	good := issuer.Token(t, nil)
	g.goesOn(t, "", good, asBearer(good))
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	issuer.Answers(hang, hang)
	const flood = 1100
	forged, key := make([]string, flood), testissuer.EC(t, "forged")
	for n := range forged {
		key.ID = fmt.Sprintf("made-up-%d", n)
		forged[n] = issuer.TokenBy(t, key, nil)
	}
	time.Sleep(10 * time.Second) // until then no token causes a fetch
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var sent sync.WaitGroup
	for _, token := range forged {
		sent.Go(func() {
			if err := requestWith(t.Context(), transport, "http://"+g.Addr+"/", token); err == nil || err.Error() != "status 503" {
				t.Errorf("a token by an unknown key: %v", err)
			}
		})
	}
	time.Sleep(3 * time.Second) // by now they wait, or have been refused
	for range 20 {
		began := time.Now()
		token := issuer.Token(t, nil)
		if err := requestWith(t.Context(), transport, "http://"+g.Addr+"/", token); err != nil {
			t.Errorf("the first token of a user: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the first token of a user took %v", took)
		}
		received := g.Upstream.Take()
		if len(received) != 1 || !slices.Equal(received[0].Header["Authorization"], []string{"Bearer " + token}) || received[0].Header["Impersonate-User"] != nil {
			t.Errorf("the upstream received %d requests, which are not that of the user alone", len(received))
		}
	}
	sent.Wait()
	g.CheckNothing(t)
}
