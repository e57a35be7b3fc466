// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"net/http"
	"reflect"
	"testing"
)

// The token that goes on is the one that was verified, wherever it came from, and none
// where none was.
func TestTokenReachesTheUpstreamOnlyWhenVerified(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	block := oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token Cf-Access-Jwt-Assertion")
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("token", block, onFailure, "inject token"),
		tokenBlock("field", block, anonymous, "inject token x-forwarded-id-token"),
		tokenBlock("review", api.kubeconfig(t), "token_review {\n token_header X-Forwarded-Id-Token\n}", anonymous, "inject token"),
		tokenBlock("both", block, anonymous, "inject token", "inject headers {\n user X-App-User\n token X-App-Token\n}"),
	))
	good, other, opaque := issuer.token(t, nil), issuer.token(t, map[string]any{"sub": "bob"}), api.login(t, carol())
	bad := issuer.token(t, map[string]any{"exp": 1})
	authorization := http.Header{"Authorization": {"Bearer " + good}}
	nothing := http.Header{}
	at := func(path string, e exchange) exchange {
		e.line = "GET /" + path + " HTTP/1.1"
		return e
	}
	g.run(t, []exchange{
		at("token", exchange{name: "as it came", fields: []string{bearer(good)}, want: authorization}),
		at("token", exchange{name: "the scheme as it should be", fields: []string{"Authorization: bEaReR " + good}, want: authorization}),
		at("token", exchange{name: "out of the proxy's field", fields: []string{"X-Forwarded-Id-Token: " + good}, want: authorization}),
		at("token", exchange{name: "out of the other field", fields: []string{"cf-access-jwt-assertion: " + good}, want: authorization}),
		at("token", exchange{
			name: "the verified one and not the other", want: authorization,
			fields: []string{"X-Forwarded-Id-Token: " + good, "Cf-Access-Jwt-Assertion: " + other, bearer(bad)},
		}),
		at("token", exchange{name: "out of the subprotocol", fields: websocketBy(good), status: 101, want: websocketOf(authorization)}),
		at("token", exchange{name: "nobody's is none", want: nothing}),
		at("token", exchange{name: "a bad one is not sent for nobody", fields: []string{bearer(bad)}, want: nothing}),
		at("token", exchange{name: "nor one out of the proxy's field", fields: []string{"X-Forwarded-Id-Token: " + bad}, want: nothing}),
		at("token", exchange{name: "nor one out of a subprotocol", fields: websocketBy(bad), status: 101, want: websocketOf(nothing)}),
		at("token", exchange{name: "nor a password", fields: []string{"Authorization: Basic YTpi", "Proxy-Authorization: Basic YTpi"}, want: nothing}),
		at("field", exchange{name: "into a field", fields: []string{bearer(good)}, want: http.Header{"X-Forwarded-Id-Token": {good}}}),
		at("field", exchange{name: "from a field into the same", fields: []string{"X-Forwarded-Id-Token: " + good}, want: http.Header{"X-Forwarded-Id-Token": {good}}}),
		at("field", exchange{
			name: "into the field that had none", fields: []string{"X-Forwarded-Id-Token: ", bearer(good)},
			want: http.Header{"X-Forwarded-Id-Token": {good}},
		}),
		at("field", exchange{name: "a bad one in the field is refused", fields: []string{"X-Forwarded-Id-Token: " + bad}, status: 401, reason: "rejected: the token has expired…"}),
		at("field", exchange{name: "an empty field stays away for nobody", fields: []string{"X-Forwarded-Id-Token:"}, want: nothing}),
		at("review", exchange{name: "a reviewed one", fields: []string{bearer(opaque)}, want: http.Header{"Authorization": {"Bearer " + opaque}}}),
		at("review", exchange{
			name: "a reviewed one out of a field", fields: []string{"X-Forwarded-Id-Token: " + opaque, bearer(bad)},
			want: http.Header{"Authorization": {"Bearer " + opaque}},
		}),
		at("both", exchange{
			name: "twice", fields: []string{bearer(good)},
			want: http.Header{"Authorization": {"Bearer " + good}, "X-App-User": {"oidc:alice"}, "X-App-Token": {good}},
		}),
		at("both", exchange{name: "never for nobody", fields: []string{"X-App-Token: " + good}, want: http.Header{"X-App-User": {"system:anonymous"}}}),
	})
}

// Users with a token of their own act with it, and those of the proxy by impersonation:
// one or the other, never both, and never one's subject with the other's credential.
func TestTokenAndImpersonationSideBySide(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*",
		"trusted_proxies static "+trustedPeer,
		oidcBlock(t, issuer),
		"forwarded {\n user X-Forwarded-User\n groups X-Forwarded-Groups\n}",
		anonymous,
		"inject token {\n sources oidc\n}",
		"inject impersonation {\n token_file "+tokenFile(t)+"\n sources forwarded anonymous\n}",
		"inject headers {\n user X-App-User\n sources oidc forwarded\n}",
	)))
	good, bad := issuer.token(t, nil), issuer.token(t, map[string]any{"exp": 1})
	own := http.Header{"Authorization": {"Bearer " + good}, "X-App-User": {"oidc:alice"}}
	g.run(t, []exchange{
		{name: "a token", from: strangerPeer, fields: []string{bearer(good)}, want: own},
		{name: "a token and a user of the proxy's", fields: aliceAnd(bearer(good), "X-Forwarded-Groups: dev"), want: own},
		{name: "a token and the client's own impersonation", fields: []string{bearer(good), "Impersonate-User: admin"}, want: own},
		{name: "a user of the proxy's", fields: aliceAnd("X-Forwarded-Groups: dev"), want: and(as("alice", "dev"), "X-App-User", "alice")},
		{name: "a bad token and a user of the proxy's", fields: aliceAnd(bearer(bad)), status: 401, reason: "rejected: the token has expired…"},
		{name: "a user of a stranger's", from: strangerPeer, fields: aliceAnd(), want: as("system:anonymous", "system:unauthenticated")},
		{name: "nobody", from: strangerPeer, want: as("system:anonymous", "system:unauthenticated")},
		{name: "a bad token", from: strangerPeer, fields: []string{bearer(bad)}, status: 401, reason: "rejected: the token has expired…"},
	})
}

// What the client is told: the status, and never why.
func TestTokenRefusalsTellTheClientNothing(t *testing.T) {
	issuer, gone := newIssuer(t), newIssuer(t)
	gone.stop()
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", "deny_users oidc:bob", oidcBlock(t, issuer), oidcBlock(t, gone), "inject token")))
	for token, want := range map[string]http.Header{
		issuer.token(t, map[string]any{"exp": 1}):     {"Www-Authenticate": {"Bearer"}},
		issuer.token(t, map[string]any{"sub": "bob"}): {},
		gone.token(t, nil):                            {"Retry-After": {"5"}},
	} {
		got := g.send(t, strangerPeer, "GET / HTTP/1.1", []string{bearer(token)}, "")
		got.header.Del("Date")
		want.Set("Server", "Caddy")
		want.Set("Content-Length", "0")
		want.Set("Cache-Control", "no-store")
		if !reflect.DeepEqual(got.header, want) || got.text != "" {
			t.Errorf("%d: the client gets %v %q, want %v", got.status, got.header, got.text, want)
		}
	}
	g.checkNothing(t)
}
