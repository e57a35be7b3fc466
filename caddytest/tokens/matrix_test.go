// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// badToken is a token that proves nothing, and the reason in the log.
type badToken struct {
	name, token string
	status      int // 0 is 401
	reason      string
}

// oneSource is a source of tokens.
type oneSource struct {
	name  string
	block string
	good  func(t *testing.T) proven // a new token
	bad   []badToken
}

func unclaimed(source, why string) string {
	return "rejected: no source accepts what is in Authorization (" + source + ": no credential: " + why + ")"
}

// badJWTs are tokens that a source of JWTs refuses. Each one's header and claims could be
// those of a good token.
func badJWTs(t *testing.T, source string, i *testissuer.Issuer) []badToken {
	t.Helper()
	good := strings.Split(i.Token(t, nil), ".")
	parts := func(parts ...string) string { return secret(t, strings.Join(parts, ".")) }
	rsaPublic := i.Key(0).Private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(rsaPublic)
	if err != nil {
		t.Fatal(err)
	}
	input := testissuer.Segment(map[string]any{"alg": "HS256", "kid": "rsa"}) + "." + testissuer.Segment(i.Claims(nil))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	ago, soon := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	const unsigned = "rejected: the token is not signed by a key of the issuer"
	return []badToken{
		{"one that has expired", i.Token(t, map[string]any{"exp": ago}), 0, "rejected: the token expired 1h…"},
		{"one that is not valid yet", i.Token(t, map[string]any{"nbf": soon}), 0, "rejected: the token becomes valid in…"},
		{"one without an end", i.Token(t, map[string]any{"exp": nil}), 0, `rejected: the claim "exp" is not a time`},
		{"one for another audience", i.Token(t, map[string]any{"aud": "other"}), 0, `rejected: the token is for another audience: "other"`},
		{"one without an audience", i.Token(t, map[string]any{"aud": nil}), 0, `rejected: the claim "aud" is not a string or a list of strings`},
		{"one without a user", i.Token(t, map[string]any{"sub": nil}), 0, "rejected: …"},
		{
			"a logout token without a type", i.Token(t, map[string]any{
				"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			}), 0, "rejected: the token reports events, and is not a credential",
		},
		{
			"one that is bound to a certificate", i.Token(t, map[string]any{"cnf": map[string]any{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}), 0,
			"rejected: the token is bound to a certificate, and the client does not have one",
		},
		{
			"one with half a character in the user", halfACharacter(t, i), 0,
			"rejected: reading the token's claims: a string has half a surrogate pair",
		},
		{"one with another user than was signed", parts(good[0], testissuer.Segment(i.Claims(map[string]any{"sub": "admin"})), good[2]), 0, unsigned},
		{"one without a signature", parts(good[0], good[1], ""), 0, "rejected: …"},
		{"one signed by another key with the same kid", i.TokenBy(t, testissuer.RSA("rsa", 1), nil), 0, unsigned},
		{"one by an unknown key", i.TokenBy(t, testissuer.RSA("unknown", 1), nil), 0, `rejected: the issuer has no such key: "unknown"`},
		{
			"one that needs no signature (alg none)", parts(testissuer.Segment(map[string]any{"alg": "none"}), good[1], ""), 0,
			`rejected: reading the token's header: its algorithm "none" is not an asymmetric signature algorithm`,
		},
		{
			"one signed with the public key for a secret (HS256)", secret(t, input+"."+testissuer.Base64(mac.Sum(nil))), 0,
			`rejected: reading the token's header: its algorithm "HS256" is not an asymmetric signature algorithm`,
		},
		{
			"one that contains its own key", secret(t, testissuer.RSA("own", 1).Sign(map[string]any{
				"alg": "RS256", "kid": "own", "jwk": testissuer.RSA("own", 1).JWK(), "jku": i.URL + "/keys",
			}, i.Claims(map[string]any{"sub": "admin"}))), 0, `rejected: the issuer has no such key: "own"`,
		},
		{
			"one of an unknown issuer", i.Token(t, map[string]any{"iss": "https://evil.example"}), 0,
			unclaimed(source, `the issuer "https://evil.example" is not known here`),
		},
		{"one that is not a JWT", secret(t, "opaque-"+rand.Text()), 0, unclaimed(source, "the token is not a JWT")},
	}
}

// halfACharacter is a token whose user ends with half a surrogate pair, signed by the issuer.
func halfACharacter(t *testing.T, i *testissuer.Issuer) string {
	t.Helper()
	claims, err := json.Marshal(i.Claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	key := i.Key(0)
	header := testissuer.Segment(map[string]any{"alg": key.Alg, "kid": key.ID})
	return secret(t, key.SignInput(header+"."+testissuer.Base64(bytes.Replace(claims, []byte(`"alice"`), []byte(`"alice\ud800"`), 1))))
}

func tokenSources(t *testing.T, i *testissuer.Issuer, api *testreview.API) []oneSource {
	t.Helper()
	opaque := func(change func(*testreview.User)) string {
		user := carol()
		change(&user)
		return api.Login(user)
	}
	const unknown = "rejected: reviewing a token: the API server says \"[invalid bearer token, token lookup failed]\""
	return []oneSource{
		{
			"oidc", oidcBlock(t, i),
			func(t *testing.T) proven { t.Helper(); return byOIDC(t, i.Token(t, nil)) },
			append(badJWTs(t, "oidc", i), badToken{
				"one for several, issued to another", i.Token(t, map[string]any{"aud": []string{"dash", "other"}, "azp": "other"}), 0,
				`rejected: the token was issued to another client: "other" (azp)`,
			}),
		},
		{
			"authentication_config", "authentication_config " + testreview.JSONFile(t, configOf(i)),
			func(t *testing.T) proven { t.Helper(); return byConfig(t, i.TokenBy(t, i.Key(1), nil)) },
			badJWTs(t, "authentication_config", i),
		},
		{
			"token_review", "token_review",
			func(t *testing.T) proven { t.Helper(); return byReview(api.Login(carol())) },
			[]badToken{
				{"an unknown one", secret(t, "opaque-"+rand.Text()), 0, unknown},
				{"an unknown JWT", i.Token(t, nil), 0, unknown},
				{
					"an administrator's", opaque(func(u *testreview.User) { u.Groups = []string{"system:masters"} }),
					http.StatusForbidden, `forbidden: group "system:masters" is reserved`,
				},
				{
					"a node's", opaque(func(u *testreview.User) { u.Username = "system:node:a" }),
					http.StatusForbidden, `forbidden: user "system:node:a" is reserved`,
				},
				{"one without a user", opaque(func(u *testreview.User) { u.Username = "" }), 0, "rejected: reviewing a token: the answer names no user"},
				{
					"one of an anonymous user", opaque(func(u *testreview.User) { u.Username = "system:anonymous" }), 0,
					"rejected: reviewing a token: the answer names an anonymous user",
				},
				{
					"one of a user with a line break", opaque(func(u *testreview.User) { u.Username = "carol\r\nImpersonate-Group: system:masters" }),
					http.StatusForbidden, "forbidden: the user has a control or format character",
				},
			},
		},
	}
}

// hostileFields are added by a client that wants more rights than its token has.
func hostileFields(other string) []string {
	return []string{
		"Impersonate-User: admin", "Impersonate-Group: system:masters", "Impersonate-Uid: 0", "Impersonate-Extra-Scopes: all",
		"impersonate~user: admin", "X-Remote-User: admin", "X-Remote-Group: system:masters", "X-Remote-Uid: 0",
		"X-Remote-Extra-Scopes: all", "X_Forwarded_Id_Token: " + other, "X-Forwarded-Id-Token: " + other,
		"x-forwarded~id-token: " + other, "X-Forwarded-Access-Token: " + other, "X-Forwarded-User: admin",
		"Proxy-Authorization: Bearer " + other, "authorization~: Bearer x", "X-Auth-Request-Access-Token: " + other,
		"Connection: Authorization, Impersonate-User, X-Remote-User, X-Forwarded-Id-Token, X-App-User, X-App-Token",
	}
}

// passed are those of the hostile fields that have no meaning to any upstream.
func passed(header http.Header) http.Header {
	return testhandler.And(header, "Authorization~", "Bearer x")
}

// websocketBy are the fields with which a browser opens a websocket with a token.
func websocketBy(token string, more ...string) []string {
	return append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey,
		"Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(token) + ", v4.channel.k8s.io",
	}, more...)
}

func websocketOf(header http.Header) http.Header {
	return testhandler.Upgraded(header, "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", testhandler.WebSocketKey,
		"Sec-WebSocket-Protocol", "v4.channel.k8s.io")
}

// matrixOf are the requests to one source and one injector, over HTTP/1.1.
func matrixOf(t *testing.T, source oneSource, injector oneInjector) []testhandler.Exchange {
	t.Helper()
	who, other := source.good(t), source.good(t).token
	want := injector.writes(who)
	hostile := slices.Concat(hostileFields(other), injector.hostile)
	exchanges := []testhandler.Exchange{
		{Name: "no token", Status: 401, Reason: "no credential"},
		{Name: "no token, and all fields that look like one", Fields: hostile, Status: 401, Reason: "no credential"},
		{Name: "a good token", Fields: []string{testhandler.Bearer(who.token)}, Want: want},
		{Name: "a good token, the scheme in another case", Fields: []string{"authorization: bEARER " + who.token}, Want: want},
		{Name: "a good token of a stranger", From: testhandler.StrangerPeer, Fields: []string{testhandler.Bearer(who.token)}, Want: want},
		{Name: "a good token and hostile fields", Fields: testhandler.With(hostile, testhandler.Bearer(who.token)), Want: passed(want)},
		{
			Name: "a second Authorization", Fields: []string{testhandler.Bearer(who.token), "authorization: Bearer " + other},
			Status: 400, Reason: "malformed: 2 lines of Authorization",
		},
		{
			Name: "the same token twice", Fields: []string{testhandler.Bearer(who.token), testhandler.Bearer(who.token)},
			Status: 400, Reason: "malformed: 2 lines of Authorization",
		},
		{Name: "a good token and a blank too many", Fields: []string{"Authorization: Bearer  " + who.token}, Status: 400, Reason: "malformed: …"},
		{Name: "a good token and a word more", Fields: []string{testhandler.Bearer(who.token) + " x"}, Status: 400, Reason: "malformed: …"},
		{Name: "a websocket with the token as subprotocol", Fields: websocketBy(who.token), Status: 101, Want: websocketOf(want)},
		{
			Name: "a websocket with hostile fields", Fields: websocketBy(who.token, hostile...),
			Status: 101, Want: passed(websocketOf(want)),
		},
		{
			Name: "a websocket with the token in both places", Fields: websocketBy(who.token, testhandler.Bearer(who.token)),
			Status: 400, Reason: "malformed: 2 lines of Authorization",
		},
		{
			Name: "a websocket with two tokens as subprotocols", Fields: websocketBy(who.token, "Sec-WebSocket-Protocol: "+testhandler.BearerSubprotocol(other)),
			Status: 400, Reason: "malformed: 2 lines of Authorization",
		},
		{
			Name: "a websocket whose subprotocol is not base64url", Fields: websocketBy(who.token[:0]),
			Status: 400, Reason: "malformed: the value after Bearer is not a token",
		},
		{
			Name: "the token as subprotocol without an upgrade", Fields: websocketBy(who.token)[4:],
			Want: testhandler.And(want, "Sec-Websocket-Protocol", "v4.channel.k8s.io"),
		},
	}
	for _, bad := range source.bad {
		status := bad.status
		if status == 0 {
			status = http.StatusUnauthorized
		}
		exchanges = append(
			exchanges,
			testhandler.Exchange{Name: bad.name, Fields: []string{testhandler.Bearer(bad.token)}, Status: status, Reason: bad.reason},
			testhandler.Exchange{Name: bad.name + ", with hostile fields", Fields: testhandler.With(hostile, testhandler.Bearer(bad.token)), Status: status, Reason: bad.reason},
			testhandler.Exchange{Name: bad.name + ", for a websocket", Fields: websocketBy(bad.token), Status: status, Reason: bad.reason},
		)
	}
	return exchanges
}

// Each source of tokens with each injector: the whole header that the upstream receives, for
// good tokens, bad ones, none, and hostile fields by which a client would become another
// user.
func TestTokenMatrix(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes := api.Kubeconfig(t)
	for _, source := range tokenSources(t, issuer, api) {
		for _, injector := range injectors(t, api) {
			t.Run(source.name+" "+injector.name, func(t *testing.T) {
				g := tokenGuard(t, testhandler.OverH2C, tokenSite(tokenBlock("*", kubernetes, source.block, injector.block)))
				g.warmUp(t, source)
				g.runTokensHTTP2(t, source, injector) // before check has a token of the service account's, too
				g.RunAndCheck(t, matrixOf(t, source, injector))
			})
		}
	}
	// not once a token: once a configuration, and once 10 s later for unknown keys; and the same for check
	if n := issuer.Fetches.Load(); n > 2*3*12 {
		t.Errorf("the issuer was asked %d times for its keys", n)
	}
}

// warmUp waits until the first token of the service account is there, so that the expected
// requests are known before they are sent.
func (g *guarded) warmUp(t *testing.T, source oneSource) {
	t.Helper()
	got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", []string{testhandler.Bearer(source.good(t).token)}, "")
	if got.Status != http.StatusOK {
		t.Fatalf("status %d, %+v", got.Status, g.Refusals(t))
	}
	g.Upstream.Take()
}

// runTokensHTTP2 asks one source and one injector over HTTP/2 without TLS.
func (g *guarded) runTokensHTTP2(t *testing.T, source oneSource, injector oneInjector) {
	t.Helper()
	who := source.good(t)
	var hostile []testhandler.Field
	for _, line := range slices.Concat(hostileFields(source.good(t).token), injector.hostile) {
		name, value, _ := strings.Cut(line, ": ")
		if name != "Connection" && !strings.Contains(name, "_") { // Connection is not allowed there
			hostile = append(slices.Clip(hostile), testhandler.Field{strings.ToLower(name), value})
		}
	}
	token := testhandler.Field{"authorization", "Bearer " + who.token}
	for _, e := range []testhandler.HTTP2Exchange{
		{Name: "a good token", Fields: []testhandler.Field{token}, Want: injector.writes(who)},
		{Name: "a good token and hostile fields", Fields: append(slices.Clip(hostile), token), Want: passed(injector.writes(who))},
		{Name: "no token", Fields: hostile, Status: 401, Reason: "no credential"},
		{
			Name: "two tokens", Fields: []testhandler.Field{token, {"authorization", "Bearer x"}}, Status: 400,
			Reason: "malformed: 2 lines of Authorization",
		},
		{
			Name: "the token as subprotocol", Fields: []testhandler.Field{{"sec-websocket-protocol", testhandler.BearerSubprotocol(who.token) + ", a"}},
			Want: testhandler.And(injector.writes(who), "Sec-Websocket-Protocol", "a"),
		},
		{
			Name: "a bad token", Fields: append(slices.Clip(hostile), testhandler.Field{"authorization", "Bearer " + source.bad[0].token}),
			Status: 401, Reason: source.bad[0].reason,
		},
		{
			Name: "a token with a blank before", Fields: []testhandler.Field{{"authorization", " Bearer " + who.token}},
			Status: 401, Reason: "rejected: no source accepts what is in Authorization",
		},
		{
			Name: "a token with a blank after", Fields: []testhandler.Field{{"authorization", "Bearer " + who.token + " "}},
			Status: 400, Reason: "malformed: the value after Bearer is not a token",
		},
	} {
		t.Run("over HTTP2, "+e.Name, func(t *testing.T) { g.ExchangeHTTP2(t, &e) })
	}
}
