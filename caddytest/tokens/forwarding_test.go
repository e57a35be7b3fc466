// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The forwarded token is the one that was verified, from whichever field, and none is
// forwarded if none was verified.
func TestTokenReachesTheUpstreamOnlyWhenVerified(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	block := oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token Cf-Access-Jwt-Assertion")
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("token", block, onFailure, "inject token"),
		tokenBlock("field", block, anonymous, "inject token x-forwarded-id-token"),
		tokenBlock("review", api.Kubeconfig(t), "token_review {\n token_header X-Forwarded-Id-Token\n}", anonymous, "inject token"),
		tokenBlock("both", block, anonymous, "inject token", "inject headers {\n user X-App-User\n token X-App-Token\n}"),
	))
	good, other, opaque := issuer.Token(t, nil), issuer.Token(t, map[string]any{"sub": "bob"}), api.Login(carol())
	bad := issuer.Token(t, map[string]any{"exp": 1})
	authorization := http.Header{"Authorization": {"Bearer " + good}}
	nothing := http.Header{}
	at := func(path string, e testhandler.Exchange) testhandler.Exchange {
		e.Line = "GET /" + path + " HTTP/1.1"
		return e
	}
	g.RunAndCheck(t, []testhandler.Exchange{
		at("token", testhandler.Exchange{Name: "unchanged", Fields: []string{testhandler.Bearer(good)}, Want: authorization}),
		at("token", testhandler.Exchange{Name: "the scheme as it should be", Fields: []string{"Authorization: bEaReR " + good}, Want: authorization}),
		at("token", testhandler.Exchange{Name: "from the proxy's field", Fields: []string{"X-Forwarded-Id-Token: " + good}, Want: authorization}),
		at("token", testhandler.Exchange{Name: "from the other field", Fields: []string{"cf-access-jwt-assertion: " + good}, Want: authorization}),
		at("token", testhandler.Exchange{
			Name: "the verified one and not the other", Want: authorization,
			Fields: []string{"X-Forwarded-Id-Token: " + good, "Cf-Access-Jwt-Assertion: " + other, testhandler.Bearer(bad)},
		}),
		at("token", testhandler.Exchange{Name: "from the subprotocol", Fields: websocketBy(good), Status: 101, Want: websocketOf(authorization)}),
		at("token", testhandler.Exchange{Name: "none for an anonymous user", Want: nothing}),
		at("token", testhandler.Exchange{Name: "a bad one is not sent for an anonymous user", Fields: []string{testhandler.Bearer(bad)}, Want: nothing}),
		at("token", testhandler.Exchange{Name: "nor one from the proxy's field", Fields: []string{"X-Forwarded-Id-Token: " + bad}, Want: nothing}),
		at("token", testhandler.Exchange{Name: "nor one from a subprotocol", Fields: websocketBy(bad), Status: 101, Want: websocketOf(nothing)}),
		at("token", testhandler.Exchange{Name: "nor a password", Fields: []string{"Authorization: Basic YTpi", "Proxy-Authorization: Basic YTpi"}, Want: nothing}),
		at("field", testhandler.Exchange{Name: "into a field", Fields: []string{testhandler.Bearer(good)}, Want: http.Header{"X-Forwarded-Id-Token": {good}}}),
		at("field", testhandler.Exchange{Name: "from a field into the same", Fields: []string{"X-Forwarded-Id-Token: " + good}, Want: http.Header{"X-Forwarded-Id-Token": {good}}}),
		at("field", testhandler.Exchange{
			Name: "into the field that had none", Fields: []string{"X-Forwarded-Id-Token: ", testhandler.Bearer(good)},
			Want: http.Header{"X-Forwarded-Id-Token": {good}},
		}),
		at("field", testhandler.Exchange{Name: "a bad one in the field is refused", Fields: []string{"X-Forwarded-Id-Token: " + bad}, Status: 401, Reason: "rejected: the token expired…"}),
		at("field", testhandler.Exchange{Name: "an empty field is not sent for an anonymous user", Fields: []string{"X-Forwarded-Id-Token:"}, Want: nothing}),
		at("review", testhandler.Exchange{Name: "a reviewed one", Fields: []string{testhandler.Bearer(opaque)}, Want: http.Header{"Authorization": {"Bearer " + opaque}}}),
		at("review", testhandler.Exchange{
			Name: "a reviewed one from a field", Fields: []string{"X-Forwarded-Id-Token: " + opaque, testhandler.Bearer(bad)},
			Want: http.Header{"Authorization": {"Bearer " + opaque}},
		}),
		at("both", testhandler.Exchange{
			Name: "twice", Fields: []string{testhandler.Bearer(good)},
			Want: http.Header{"Authorization": {"Bearer " + good}, "X-App-User": {"oidc:alice"}, "X-App-Token": {good}},
		}),
		at("both", testhandler.Exchange{Name: "never for an anonymous user", Fields: []string{"X-App-Token: " + good}, Want: http.Header{"X-App-User": {"system:anonymous"}}}),
	})
}

// Users with a token of their own act with it, and users of the proxy act by impersonation.
// A request never has both, and never one user's name with the other's credential.
func TestTokenAndImpersonationSideBySide(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*",
		"trusted_proxies static "+testhandler.TrustedPeer,
		oidcBlock(t, issuer),
		"forwarded {\n user X-Forwarded-User\n groups X-Forwarded-Groups\n}",
		anonymous,
		"inject token {\n sources oidc\n}",
		"inject impersonation {\n token_file "+testhandler.TokenFile(t)+"\n sources forwarded anonymous\n}",
		"inject headers {\n user X-App-User\n sources oidc forwarded\n}",
	)))
	good, bad := issuer.Token(t, nil), issuer.Token(t, map[string]any{"exp": 1})
	own := http.Header{"Authorization": {"Bearer " + good}, "X-App-User": {"oidc:alice"}}
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "a token", From: testhandler.StrangerPeer, Fields: []string{testhandler.Bearer(good)}, Want: own},
		{Name: "a token and a user of the proxy's", Fields: testhandler.AliceAnd(testhandler.Bearer(good), "X-Forwarded-Groups: dev"), Want: own},
		{Name: "a token and the client's own impersonation", Fields: []string{testhandler.Bearer(good), "Impersonate-User: admin"}, Want: own},
		{Name: "a user of the proxy's", Fields: testhandler.AliceAnd("X-Forwarded-Groups: dev"), Want: testhandler.And(testhandler.As("alice", "dev"), "X-App-User", "alice")},
		{Name: "a bad token and a user of the proxy's", Fields: testhandler.AliceAnd(testhandler.Bearer(bad)), Status: 401, Reason: "rejected: the token expired…"},
		{Name: "a user of a stranger's", From: testhandler.StrangerPeer, Fields: testhandler.AliceAnd(), Want: testhandler.As("system:anonymous", "system:unauthenticated")},
		{Name: "no credential", From: testhandler.StrangerPeer, Want: testhandler.As("system:anonymous", "system:unauthenticated")},
		{Name: "a bad token", From: testhandler.StrangerPeer, Fields: []string{testhandler.Bearer(bad)}, Status: 401, Reason: "rejected: the token expired…"},
	})
}

// The client learns the status, and never the reason.
func TestTokenRefusalsTellTheClientNothing(t *testing.T) {
	issuer, gone := newIssuer(t), newIssuer(t)
	gone.Stop()
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", "deny_users oidc:bob", oidcBlock(t, issuer), oidcBlock(t, gone), "inject token")))
	for token, want := range map[string]http.Header{
		issuer.Token(t, map[string]any{"exp": 1}):     {"Www-Authenticate": {"Bearer"}},
		issuer.Token(t, map[string]any{"sub": "bob"}): {},
		gone.Token(t, nil):                            {"Retry-After": {"5"}},
	} {
		got := g.Send(t, testhandler.StrangerPeer, "GET / HTTP/1.1", []string{testhandler.Bearer(token)}, "")
		got.Header.Del("Date")
		want.Set("Server", "Caddy")
		want.Set("Content-Length", "0")
		want.Set("Cache-Control", "no-store")
		if !reflect.DeepEqual(got.Header, want) || got.Text != "" {
			t.Errorf("%d: the client gets %v %q, want %v", got.Status, got.Header, got.Text, want)
		}
	}
	g.CheckNothing(t)
}
