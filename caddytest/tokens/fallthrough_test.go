// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const (
	noOIDC    = "rejected: no source accepts what is in Authorization"
	noOIDCIn  = "rejected: no source accepts what is in X-Forwarded-Id-Token (oidc: no credential: the token is not a JWT)"
	anonymous = "anonymous"
	onFailure = "anonymous {\n on_failure\n}"
)

// presented are credentials in every place, with their results if the source oidc also reads
// X-Forwarded-Id-Token. The refused ones have a status; they become anonymous only with
// on_failure.
func presented(t *testing.T, i *testissuer.Issuer) []testhandler.Exchange {
	t.Helper()
	good, other := i.Token(t, nil), i.Token(t, map[string]any{"sub": "bob"})
	expired := i.Token(t, map[string]any{"exp": 1})
	elsewhere := i.Token(t, map[string]any{"iss": "https://elsewhere.example"})
	opaque := secret(t, "opaque-"+rand.Text())
	alice := testhandler.As("oidc:alice", "oidc:dev", "oidc:ops")
	const in = "X-Forwarded-Id-Token: "
	exchanges := []testhandler.Exchange{
		{Name: "a good token", Fields: []string{testhandler.Bearer(good)}, Want: alice},
		{Name: "a good token in the proxy's field", Fields: []string{in + good}, Want: alice},
		{Name: "an empty field of the proxy's beside a good token", Fields: []string{in, testhandler.Bearer(good)}, Want: alice},
		{Name: "the same token in both fields", Fields: []string{in + good, testhandler.Bearer(good)}, Want: alice},
		{Name: "two users in two fields: the proxy's field counts", Fields: []string{in + good, testhandler.Bearer(other)}, Want: alice},
		{Name: "a good token beside a spelling that is not the proxy's", Fields: []string{"x-forwarded~id-token: " + expired, testhandler.Bearer(good)}, Want: alice},

		{Name: "a spelling that is not the proxy's alone", Fields: []string{"x-forwarded~id-token: " + good}, Status: 401, Reason: "no credential"},
		{Name: "nothing", Status: 401, Reason: "no credential"},
		{Name: "an empty field of the proxy's", Fields: []string{in}, Status: 401, Reason: "no credential"},

		{Name: "a bad token", Fields: []string{testhandler.Bearer(expired)}, Status: 401, Reason: "rejected: the token expired…"},
		{Name: "a bad token in the proxy's field", Fields: []string{in + expired}, Status: 401, Reason: "rejected: the token expired…"},
		{Name: "a bad token there beside a good one", Fields: []string{in + expired, testhandler.Bearer(good)}, Status: 401, Reason: "rejected: the token expired…"},
		{Name: "no JWT there beside a good token", Fields: []string{in + opaque, testhandler.Bearer(good)}, Status: 401, Reason: noBoth("the token is not a JWT")},
		{
			Name: "one of an unknown issuer there beside a good token", Fields: []string{in + elsewhere, testhandler.Bearer(good)},
			Status: 401, Reason: noBoth(`the issuer "https://elsewhere.example" is not known here`),
		},
		{Name: "no JWT there alone", Fields: []string{in + opaque}, Status: 401, Reason: noOIDCIn},
		{Name: "something other than a token there", Fields: []string{in + "a b", testhandler.Bearer(good)}, Status: 400, Reason: "malformed: …"},
		{Name: "a scheme there", Fields: []string{in + "Bearer " + good}, Status: 400, Reason: "malformed: …"},
		{Name: "two lines there", Fields: []string{in + good, in + other}, Status: 400, Reason: "malformed: 2 lines of X-Forwarded-Id-Token"},
		{Name: "two lines there, one of them empty", Fields: []string{in, in + good}, Status: 400, Reason: "malformed: 2 lines of X-Forwarded-Id-Token"},
		{
			Name: "one of an unknown issuer", Fields: []string{testhandler.Bearer(elsewhere)}, Status: 401,
			Reason: unclaimed("oidc", `the issuer "https://elsewhere.example" is not known here`),
		},
		{Name: "no JWT", Fields: []string{testhandler.Bearer(opaque)}, Status: 401, Reason: unclaimed("oidc", "the token is not a JWT")},
		{Name: "a password", Fields: []string{"Authorization: Basic YWRtaW46YWRtaW4="}, Status: 401, Reason: noOIDC},
		{Name: "another scheme with a good token", Fields: []string{"Authorization: Token " + good}, Status: 401, Reason: noOIDC},
		{Name: "a longer scheme with a good token", Fields: []string{"Authorization: BearerX " + good}, Status: 401, Reason: noOIDC},
		{Name: "a good token without a scheme", Fields: []string{"Authorization: " + good}, Status: 401, Reason: noOIDC},
		{Name: "an empty Authorization", Fields: []string{"Authorization:"}, Status: 401, Reason: noOIDC},
		{Name: "an empty Authorization and an empty field of the proxy's", Fields: []string{"Authorization:", in}, Status: 401, Reason: noOIDC},
		{Name: "a scheme alone", Fields: []string{"Authorization: Bearer"}, Status: 400, Reason: "malformed: there is no token after Bearer"},
		{Name: "a tab for the blank", Fields: []string{"Authorization: Bearer\t" + good}, Status: 400, Reason: "malformed: Bearer is not followed by one blank"},
		{Name: "two tokens", Fields: []string{testhandler.Bearer(good), testhandler.Bearer(other)}, Status: 400, Reason: "malformed: 2 lines of Authorization"},
		{Name: "two tokens with a comma", Fields: []string{testhandler.Bearer(good) + ", Bearer " + other}, Status: 400, Reason: "malformed: …"},
		{Name: "a good token behind an empty line", Fields: []string{"Authorization:", testhandler.Bearer(good)}, Status: 400, Reason: "malformed: 2 lines of Authorization"},
		{Name: "a good token and a password", Fields: []string{testhandler.Bearer(good), "Authorization: Basic YTpi"}, Status: 400, Reason: "malformed: 2 lines of Authorization"},
		{Name: "a token as field and as subprotocol", Fields: websocketBy(good, testhandler.Bearer(good)), Status: 400, Reason: "malformed: 2 lines of Authorization"},
		{Name: "a token as subprotocol and in the proxy's field", Fields: websocketBy(good, in+good), Status: 101, Want: websocketOf(alice)},
		{Name: "a good token as subprotocol, a bad one in the proxy's field", Fields: websocketBy(good, in+expired), Status: 401, Reason: "rejected: the token expired…"},
		{Name: "a token that is too long", Fields: []string{"Authorization: Bearer " + strings.Repeat("a", 16<<10+1)}, Status: 400, Reason: "malformed: the bearer token has 16385 bytes, more than 16384"},
	}
	return exchanges
}

func noBoth(why string) string {
	return "rejected: no source accepts what is in Authorization, X-Forwarded-Id-Token (oidc: no credential: " + why + ")"
}

// CVE-2022-29165 (Argo CD), CVE-2021-20278 (Kiali): a client that presents a bad token
// becomes anonymous, or another user.
func TestTokenNeverFallsThrough(t *testing.T) {
	issuer := newIssuer(t)
	block := oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token")
	inject := "inject impersonation {\n token_file " + testhandler.TokenFile(t) + "\n}"
	guest := testhandler.As("system:anonymous", "system:unauthenticated")
	for _, c := range []struct {
		name, fallback string
		becomes        func(*testhandler.Exchange) bool // which exchanges become anonymous
	}{
		{"alone", "", func(*testhandler.Exchange) bool { return false }},
		{"with anonymous", anonymous, func(e *testhandler.Exchange) bool { return e.Reason == "no credential" }},
		{"with on_failure", onFailure, func(e *testhandler.Exchange) bool { return e.Want == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			exchanges := presented(t, issuer)
			for n := range exchanges {
				e := &exchanges[n]
				if !c.becomes(e) {
					continue
				}
				e.Status, e.Reason, e.Want = http.StatusOK, "", guest
				if slices.Contains(e.Fields, "Upgrade: websocket") {
					e.Status, e.Want = http.StatusSwitchingProtocols, websocketOf(guest)
				}
			}
			tokenGuard(t, "", tokenSite(tokenBlock("*", block, c.fallback, inject))).RunAndCheck(t, exchanges)
		})
	}
}

// on_failure is about bad credentials. An undecided credential, or a user that the policy
// forbids, must not be let in as anonymous.
func TestTokenOnFailureIsOnlyForBadCredentials(t *testing.T) {
	issuer, gone, api := newIssuer(t), newIssuer(t), newAPI(t)
	gone.Stop()
	down := newAPI(t)
	down.Stop()
	inject := "inject impersonation {\n token_file " + testhandler.TokenFile(t) + "\n}"
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("oidc", "deny_users oidc:alice", oidcBlock(t, issuer), oidcBlock(t, gone), onFailure, inject),
		tokenBlock("review", api.Kubeconfig(t), "deny_users carol", "token_review", onFailure, inject),
		tokenBlock("down", down.Kubeconfig(t), "token_review", onFailure, inject),
	))
	g.RunAndCheck(t, []testhandler.Exchange{
		{
			Name: "the issuer is out of reach", Line: "GET /oidc HTTP/1.1", Fields: []string{testhandler.Bearer(gone.Token(t, nil))},
			Status: 503, Reason: "unavailable: there are no keys of the issuer: …",
		},
		{
			Name: "the user is denied", Line: "GET /oidc HTTP/1.1", Fields: []string{testhandler.Bearer(issuer.Token(t, nil))},
			Status: 403, Reason: `forbidden: user "oidc:alice" is denied`,
		},
		{
			Name: "the reviewed user is denied", Line: "GET /review HTTP/1.1", Fields: []string{testhandler.Bearer(api.Login(carol()))},
			Status: 403, Reason: `forbidden: user "carol" is denied`,
		},
		{
			Name: "the API server is out of reach", Line: "GET /down HTTP/1.1", Fields: []string{testhandler.Bearer(secret(t, "opaque-"+rand.Text()))},
			Status: 503, Reason: "unavailable: creating tokenreviews.authentication.k8s.io: …",
		},
	})
}

// A token that one source has refused is not shown to the next. A token that no source of
// JWTs knows is left to the API server.
func TestTokenIsDecidedByOneSource(t *testing.T) {
	one, two, api := newIssuer(t), newIssuer(t), newAPI(t)
	inject := "inject impersonation {\n token_file " + testhandler.TokenFile(t) + "\n}"
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("first", api.Kubeconfig(t), oidcBlock(t, one), oidcFor(t, two, "audience other"), "token_review", anonymous, inject),
		tokenBlock("last", api.Kubeconfig(t), "token_review", oidcBlock(t, one), inject),
	))
	expired := one.Token(t, map[string]any{"exp": 1})
	api.Know(expired, carol())
	opaque := api.Login(carol())
	webhooks := secret(t, testissuer.Segment(map[string]any{"alg": "HS256"})+"."+
		testissuer.Segment(map[string]any{"iss": "https://webhook.example", "jti": rand.Text()})+".c2lnbmVk")
	api.Know(webhooks, carol())
	elsewhere := one.Token(t, map[string]any{"iss": "https://elsewhere.example"})
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "of the first issuer", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(one.Token(t, nil))}, Want: testhandler.As("oidc:alice", "oidc:dev", "oidc:ops")},
		{
			Name: "of the second issuer for the first one's audience", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(two.Token(t, nil))},
			Status: 401, Reason: `rejected: the token is for another audience: "dash"`,
		},
		{
			Name: "of the second issuer in the first one's name", Line: "GET /first HTTP/1.1",
			Fields: []string{testhandler.Bearer(two.TokenBy(t, two.Key(1), map[string]any{"iss": one.URL}))},
			Status: 401, Reason: "rejected: the token is not signed by a key of the issuer",
		},
		{
			Name: "bad, and good by the API server", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(expired)},
			Status: 401, Reason: "rejected: the token expired…",
		},
	})
	if n := api.Asked(); n != 0 {
		t.Errorf("the API server was asked %d times about tokens that oidc refused", n)
	}
	const unknown = "rejected: reviewing a token: the API server says \"[invalid bearer token, token lookup failed]\""
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "opaque", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(opaque)}, Want: testhandler.As("carol", "dev")},
		{Name: "of a webhook, with a shared secret", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(webhooks)}, Want: testhandler.As("carol", "dev")},
		{Name: "of an unknown issuer", Line: "GET /first HTTP/1.1", Fields: []string{testhandler.Bearer(elsewhere)}, Status: 401, Reason: unknown},
		{
			Name: "good by oidc, behind an API server that does not know it", Line: "GET /last HTTP/1.1",
			Fields: []string{testhandler.Bearer(one.Token(t, nil))}, Status: 401, Reason: unknown,
		},
		{Name: "none", Line: "GET /first HTTP/1.1", Want: testhandler.As("system:anonymous", "system:unauthenticated")},
	})
}
