// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	noOIDC    = "rejected: no source accepts what is in Authorization"
	noOIDCIn  = "rejected: no source accepts what is in X-Forwarded-Id-Token (oidc: no credential: the token is no JWT)"
	anonymous = "anonymous"
	onFailure = "anonymous {\n on_failure\n}"
)

// presented are credentials in every place, and what becomes of them where the source oidc
// also reads X-Forwarded-Id-Token. What is refused has a status, and is anonymous
// only with on_failure.
func presented(t *testing.T, i *fakeIssuer) []exchange {
	t.Helper()
	good, other := i.token(t, nil), i.token(t, map[string]any{"sub": "bob"})
	expired := i.token(t, map[string]any{"exp": 1})
	elsewhere := i.token(t, map[string]any{"iss": "https://elsewhere.example"})
	opaque := secret(t, "opaque-"+rand.Text())
	alice := as("oidc:alice", "oidc:dev", "oidc:ops")
	const in = "X-Forwarded-Id-Token: "
	exchanges := []exchange{
		{name: "a good token", fields: []string{bearer(good)}, want: alice},
		{name: "a good token in the proxy's field", fields: []string{in + good}, want: alice},
		{name: "an empty field of the proxy's beside a good token", fields: []string{in, bearer(good)}, want: alice},
		{name: "the same token in both fields", fields: []string{in + good, bearer(good)}, want: alice},
		{name: "two users in two fields: the proxy's field counts", fields: []string{in + good, bearer(other)}, want: alice},
		{name: "a good token beside a spelling that is not the proxy's", fields: []string{"x-forwarded~id-token: " + expired, bearer(good)}, want: alice},

		{name: "a spelling that is not the proxy's alone", fields: []string{"x-forwarded~id-token: " + good}, status: 401, reason: "no credential"},
		{name: "nothing", status: 401, reason: "no credential"},
		{name: "an empty field of the proxy's", fields: []string{in}, status: 401, reason: "no credential"},

		{name: "a bad token", fields: []string{bearer(expired)}, status: 401, reason: "rejected: the token has expired…"},
		{name: "a bad token in the proxy's field", fields: []string{in + expired}, status: 401, reason: "rejected: the token has expired…"},
		{name: "a bad token there beside a good one", fields: []string{in + expired, bearer(good)}, status: 401, reason: "rejected: the token has expired…"},
		{name: "no JWT there beside a good token", fields: []string{in + opaque, bearer(good)}, status: 401, reason: noBoth("the token is no JWT")},
		{
			name: "one of an unknown issuer there beside a good token", fields: []string{in + elsewhere, bearer(good)},
			status: 401, reason: noBoth(`the issuer "https://elsewhere.example" is not known here`),
		},
		{name: "no JWT there alone", fields: []string{in + opaque}, status: 401, reason: noOIDCIn},
		{name: "what is no token there", fields: []string{in + "a b", bearer(good)}, status: 400, reason: "malformed: …"},
		{name: "a scheme there", fields: []string{in + "Bearer " + good}, status: 400, reason: "malformed: …"},
		{name: "two lines there", fields: []string{in + good, in + other}, status: 400, reason: "malformed: 2 lines of X-Forwarded-Id-Token"},
		{name: "two lines there, one of them empty", fields: []string{in, in + good}, status: 400, reason: "malformed: 2 lines of X-Forwarded-Id-Token"},
		{
			name: "one of an unknown issuer", fields: []string{bearer(elsewhere)}, status: 401,
			reason: unclaimed("oidc", `the issuer "https://elsewhere.example" is not known here`),
		},
		{name: "no JWT", fields: []string{bearer(opaque)}, status: 401, reason: unclaimed("oidc", "the token is no JWT")},
		{name: "a password", fields: []string{"Authorization: Basic YWRtaW46YWRtaW4="}, status: 401, reason: noOIDC},
		{name: "another scheme with a good token", fields: []string{"Authorization: Token " + good}, status: 401, reason: noOIDC},
		{name: "a longer scheme with a good token", fields: []string{"Authorization: BearerX " + good}, status: 401, reason: noOIDC},
		{name: "a good token without a scheme", fields: []string{"Authorization: " + good}, status: 401, reason: noOIDC},
		{name: "an empty Authorization", fields: []string{"Authorization:"}, status: 401, reason: noOIDC},
		{name: "an empty Authorization and an empty field of the proxy's", fields: []string{"Authorization:", in}, status: 401, reason: noOIDC},
		{name: "a scheme alone", fields: []string{"Authorization: Bearer"}, status: 400, reason: "malformed: there is no token after Bearer"},
		{name: "a tab for the blank", fields: []string{"Authorization: Bearer\t" + good}, status: 400, reason: "malformed: Bearer is not followed by one blank"},
		{name: "two tokens", fields: []string{bearer(good), bearer(other)}, status: 400, reason: "malformed: 2 lines of Authorization"},
		{name: "two tokens with a comma", fields: []string{bearer(good) + ", Bearer " + other}, status: 400, reason: "malformed: …"},
		{name: "a good token behind an empty line", fields: []string{"Authorization:", bearer(good)}, status: 400, reason: "malformed: 2 lines of Authorization"},
		{name: "a good token and a password", fields: []string{bearer(good), "Authorization: Basic YTpi"}, status: 400, reason: "malformed: 2 lines of Authorization"},
		{name: "a token as field and as subprotocol", fields: websocketBy(good, bearer(good)), status: 400, reason: "malformed: 2 lines of Authorization"},
		{name: "a token as subprotocol and in the proxy's field", fields: websocketBy(good, in+good), status: 101, want: websocketOf(alice)},
		{name: "a good token as subprotocol, a bad one in the proxy's field", fields: websocketBy(good, in+expired), status: 401, reason: "rejected: the token has expired…"},
		{name: "a token that is too long", fields: []string{"Authorization: Bearer " + strings.Repeat("a", 16<<10+1)}, status: 400, reason: "malformed: the bearer token has 16385 bytes, more than 16384"},
	}
	return exchanges
}

func noBoth(why string) string {
	return "rejected: no source accepts what is in Authorization, X-Forwarded-Id-Token (oidc: no credential: " + why + ")"
}

// CVE-2022-29165 (Argo CD), CVE-2021-20278 (Kiali): a token that is presented and bad
// makes nobody, or somebody else, of a client.
func TestTokenNeverFallsThrough(t *testing.T) {
	issuer := newIssuer(t)
	block := oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token")
	inject := "inject impersonation {\n token_file " + tokenFile(t) + "\n}"
	nobody := as("system:anonymous", "system:unauthenticated")
	for _, c := range []struct {
		name, fallback string
		becomes        func(*exchange) bool // nobody
	}{
		{"alone", "", func(*exchange) bool { return false }},
		{"with anonymous", anonymous, func(e *exchange) bool { return e.reason == "no credential" }},
		{"with on_failure", onFailure, func(e *exchange) bool { return e.want == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			exchanges := presented(t, issuer)
			for n := range exchanges {
				e := &exchanges[n]
				if !c.becomes(e) {
					continue
				}
				e.status, e.reason, e.want = http.StatusOK, "", nobody
				if slices.Contains(e.fields, "Upgrade: websocket") {
					e.status, e.want = http.StatusSwitchingProtocols, websocketOf(nobody)
				}
			}
			tokenGuard(t, "", tokenSite(tokenBlock("*", block, c.fallback, inject))).run(t, exchanges)
		})
	}
}

// on_failure is about bad credentials. What could not be decided, and what policy forbids,
// is no reason to let somebody in as nobody.
func TestTokenOnFailureIsNotForWhatCouldNotBeDecided(t *testing.T) {
	issuer, gone, api := newIssuer(t), newIssuer(t), newAPI(t)
	gone.stop()
	down := newAPI(t)
	down.stop()
	inject := "inject impersonation {\n token_file " + tokenFile(t) + "\n}"
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("oidc", "deny_users oidc:alice", oidcBlock(t, issuer), oidcBlock(t, gone), onFailure, inject),
		tokenBlock("review", api.kubeconfig(t), "deny_users carol", "token_review", onFailure, inject),
		tokenBlock("down", down.kubeconfig(t), "token_review", onFailure, inject),
	))
	g.run(t, []exchange{
		{
			name: "the issuer is out of reach", line: "GET /oidc HTTP/1.1", fields: []string{bearer(gone.token(t, nil))},
			status: 503, reason: "unavailable: there are no keys of the issuer: …",
		},
		{
			name: "the user is denied", line: "GET /oidc HTTP/1.1", fields: []string{bearer(issuer.token(t, nil))},
			status: 403, reason: `forbidden: user "oidc:alice" is denied`,
		},
		{
			name: "the reviewed user is denied", line: "GET /review HTTP/1.1", fields: []string{bearer(api.login(t, carol()))},
			status: 403, reason: `forbidden: user "carol" is denied`,
		},
		{
			name: "the API server is out of reach", line: "GET /down HTTP/1.1", fields: []string{bearer(secret(t, "opaque-"+rand.Text()))},
			status: 503, reason: "unavailable: creating tokenreviews.authentication.k8s.io: …",
		},
	})
}

// A token that one source has refused is not shown to the next, and one that no source of
// JWTs knows is the API server's to judge.
func TestTokenIsJudgedByOneSource(t *testing.T) {
	one, two, api := newIssuer(t), newIssuer(t), newAPI(t)
	inject := "inject impersonation {\n token_file " + tokenFile(t) + "\n}"
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("first", api.kubeconfig(t), oidcBlock(t, one), oidcFor(t, two, "audience other"), "token_review", anonymous, inject),
		tokenBlock("last", api.kubeconfig(t), "token_review", oidcBlock(t, one), inject),
	))
	expired := one.token(t, map[string]any{"exp": 1})
	api.know(expired, carol())
	opaque := api.login(t, carol())
	elsewhere := one.token(t, map[string]any{"iss": "https://elsewhere.example"})
	g.run(t, []exchange{
		{name: "of the first issuer", line: "GET /first HTTP/1.1", fields: []string{bearer(one.token(t, nil))}, want: as("oidc:alice", "oidc:dev", "oidc:ops")},
		{
			name: "of the second issuer for the first one's audience", line: "GET /first HTTP/1.1", fields: []string{bearer(two.token(t, nil))},
			status: 401, reason: `rejected: the token is for another audience: "dash"`,
		},
		{
			name: "of the second issuer in the first one's name", line: "GET /first HTTP/1.1",
			fields: []string{bearer(two.tokenBy(t, two.key(1), map[string]any{"iss": one.url}))},
			status: 401, reason: "rejected: no key of the issuer has signed the token",
		},
		{
			name: "bad, and good by the API server", line: "GET /first HTTP/1.1", fields: []string{bearer(expired)},
			status: 401, reason: "rejected: the token has expired…",
		},
	})
	if n := api.asked(); n != 0 {
		t.Errorf("the API server was asked %d times about tokens that oidc refused", n)
	}
	const unknown = "rejected: reviewing a token: the API server says \"[invalid bearer token, token lookup failed]\""
	g.run(t, []exchange{
		{name: "opaque", line: "GET /first HTTP/1.1", fields: []string{bearer(opaque)}, want: as("carol", "dev")},
		{name: "of an unknown issuer", line: "GET /first HTTP/1.1", fields: []string{bearer(elsewhere)}, status: 401, reason: unknown},
		{
			name: "good by oidc, behind an API server that does not know it", line: "GET /last HTTP/1.1",
			fields: []string{bearer(one.token(t, nil))}, status: 401, reason: unknown,
		},
		{name: "none", line: "GET /first HTTP/1.1", want: as("system:anonymous", "system:unauthenticated")},
	})
}
