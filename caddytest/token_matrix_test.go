// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// badToken is a token that proves nothing, and what the log says of it.
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

// badJWTs are what a source of JWTs refuses. Of all of them the header and the claims could
// be a good token's.
func badJWTs(t *testing.T, source string, i *fakeIssuer) []badToken {
	t.Helper()
	good := strings.Split(i.token(t, nil), ".")
	parts := func(parts ...string) string { return secret(t, strings.Join(parts, ".")) }
	rsaPublic := i.key(0).key.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(rsaPublic)
	if err != nil {
		t.Fatal(err)
	}
	input := segment(map[string]any{"alg": "HS256", "kid": "rsa"}) + "." + segment(i.claims(nil))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	ago, soon := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	const unsigned = "rejected: no key of the issuer has signed the token"
	return []badToken{
		{"one that has expired", i.token(t, map[string]any{"exp": ago}), 0, "rejected: the token has expired, 1h0m…"},
		{"one that is not valid yet", i.token(t, map[string]any{"nbf": soon}), 0, "rejected: the token is not valid yet, for…"},
		{"one without an end", i.token(t, map[string]any{"exp": nil}), 0, `rejected: the claim "exp" is not a time`},
		{"one for another audience", i.token(t, map[string]any{"aud": "other"}), 0, `rejected: the token is for another audience: "other"`},
		{"one for nobody", i.token(t, map[string]any{"aud": nil}), 0, `rejected: the claim "aud" is not a string or a list of strings`},
		{"one without a user", i.token(t, map[string]any{"sub": nil}), 0, "rejected: …"},
		{"one with another user than was signed", parts(good[0], segment(i.claims(map[string]any{"sub": "admin"})), good[2]), 0, unsigned},
		{"one without a signature", parts(good[0], good[1], ""), 0, "rejected: …"},
		{"one signed by somebody else in the key's name", i.tokenBy(t, rsaSigner("rsa", 1), nil), 0, unsigned},
		{"one by a key that nobody knows", i.tokenBy(t, rsaSigner("nobody", 1), nil), 0, `rejected: the issuer has no such key: "nobody"`},
		{
			"one that needs no signature (alg none)", parts(segment(map[string]any{"alg": "none"}), good[1], ""), 0,
			`rejected: reading the token's header: its algorithm "none" is none that proves anything`,
		},
		{
			"one signed with the public key for a secret (HS256)", secret(t, input+"."+b64(mac.Sum(nil))), 0,
			`rejected: reading the token's header: its algorithm "HS256" is none that proves anything`,
		},
		{
			"one that brings its own key", secret(t, rsaSigner("own", 1).sign(map[string]any{
				"alg": "RS256", "kid": "own", "jwk": rsaSigner("own", 1).jwk(), "jku": i.url + "/keys",
			}, i.claims(map[string]any{"sub": "admin"}))), 0, `rejected: the issuer has no such key: "own"`,
		},
		{
			"one of an issuer that nobody knows", i.token(t, map[string]any{"iss": "https://evil.example"}), 0,
			unclaimed(source, `the issuer "https://evil.example" is not known here`),
		},
		{"one that is no JWT", secret(t, "opaque-"+rand.Text()), 0, unclaimed(source, "the token is no JWT")},
	}
}

func tokenSources(t *testing.T, i *fakeIssuer, api *fakeAPI) []oneSource {
	t.Helper()
	opaque := func(change func(*apiUser)) string {
		user := carol()
		change(&user)
		return api.login(t, user)
	}
	const unknown = "rejected: reviewing a token: the API server says \"[invalid bearer token, token lookup failed]\""
	return []oneSource{
		{
			"oidc", oidcBlock(t, i),
			func(t *testing.T) proven { t.Helper(); return byOIDC(t, i.token(t, nil)) },
			append(badJWTs(t, "oidc", i), badToken{
				"one for several, issued to another", i.token(t, map[string]any{"aud": []string{"dash", "other"}, "azp": "other"}), 0,
				`rejected: the token is for several audiences and was issued to "other" (azp)`,
			}),
		},
		{
			"authentication_config", "authentication_config " + jsonFile(t, configOf(i)),
			func(t *testing.T) proven { t.Helper(); return byConfig(t, i.tokenBy(t, i.key(1), nil)) },
			badJWTs(t, "authentication_config", i),
		},
		{
			"token_review", "token_review",
			func(t *testing.T) proven { t.Helper(); return byReview(api.login(t, carol())) },
			[]badToken{
				{"one that nobody knows", secret(t, "opaque-"+rand.Text()), 0, unknown},
				{"a JWT that nobody knows", i.token(t, nil), 0, unknown},
				{
					"an administrator's", opaque(func(u *apiUser) { u.Groups = []string{"system:masters"} }),
					http.StatusForbidden, `forbidden: group "system:masters" is reserved`,
				},
				{
					"a node's", opaque(func(u *apiUser) { u.Username = "system:node:a" }),
					http.StatusForbidden, `forbidden: user "system:node:a" is reserved`,
				},
				{"nobody's", opaque(func(u *apiUser) { u.Username = "" }), 0, "rejected: reviewing a token: the answer names no user"},
				{
					"anybody's", opaque(func(u *apiUser) { u.Username = "system:anonymous" }), 0,
					"rejected: reviewing a token: the answer is about anybody",
				},
				{
					"one of a user with a line break", opaque(func(u *apiUser) { u.Username = "carol\r\nImpersonate-Group: system:masters" }),
					http.StatusForbidden, "forbidden: the user has a control or format character",
				},
			},
		},
	}
}

// hostileFields are what a client adds that wants to be more than its token says.
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

// passed are the fields among them that mean nothing to anybody.
func passed(header http.Header) http.Header { return and(header, "Authorization~", "Bearer x") }

// with is fields and more, in lines of their own.
func with(fields []string, more ...string) []string { return slices.Concat(fields, more) }

func bearer(token string) string { return "Authorization: Bearer " + token }

// websocketBy are the fields with which a browser opens a websocket with a token.
func websocketBy(token string, more ...string) []string {
	return append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + kubeKey,
		"Sec-WebSocket-Protocol: " + kubeSubprotocol(token) + ", v4.channel.k8s.io",
	}, more...)
}

func websocketOf(header http.Header) http.Header {
	return upgraded(header, "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", kubeKey,
		"Sec-WebSocket-Protocol", "v4.channel.k8s.io")
}

// matrixOf is what one source and one injector are asked, over HTTP/1.1.
func matrixOf(t *testing.T, source oneSource, injector oneInjector) []exchange {
	t.Helper()
	who, other := source.good(t), source.good(t).token
	want := injector.writes(who)
	hostile := slices.Concat(hostileFields(other), injector.hostile)
	exchanges := []exchange{
		{name: "no token", status: 401, reason: "no credential"},
		{name: "no token, and all that could stand for one", fields: hostile, status: 401, reason: "no credential"},
		{name: "a good token", fields: []string{bearer(who.token)}, want: want},
		{name: "a good token, the scheme in another case", fields: []string{"authorization: bEARER " + who.token}, want: want},
		{name: "a good token of a stranger", from: strangerPeer, fields: []string{bearer(who.token)}, want: want},
		{name: "a good token and hostile fields", fields: with(hostile, bearer(who.token)), want: passed(want)},
		{
			name: "a second Authorization", fields: []string{bearer(who.token), "authorization: Bearer " + other},
			status: 400, reason: "malformed: 2 lines of Authorization",
		},
		{
			name: "the same token twice", fields: []string{bearer(who.token), bearer(who.token)},
			status: 400, reason: "malformed: 2 lines of Authorization",
		},
		{name: "a good token and a blank too many", fields: []string{"Authorization: Bearer  " + who.token}, status: 400, reason: "malformed: …"},
		{name: "a good token and a word more", fields: []string{bearer(who.token) + " x"}, status: 400, reason: "malformed: …"},
		{name: "a websocket with the token as subprotocol", fields: websocketBy(who.token), status: 101, want: websocketOf(want)},
		{
			name: "a websocket with hostile fields", fields: websocketBy(who.token, hostile...),
			status: 101, want: passed(websocketOf(want)),
		},
		{
			name: "a websocket with the token in both places", fields: websocketBy(who.token, bearer(who.token)),
			status: 400, reason: "malformed: 2 lines of Authorization",
		},
		{
			name: "a websocket with two tokens as subprotocols", fields: websocketBy(who.token, "Sec-WebSocket-Protocol: "+kubeSubprotocol(other)),
			status: 400, reason: "malformed: 2 lines of Authorization",
		},
		{
			name: "a websocket whose subprotocol is not base64url", fields: websocketBy(who.token[:0]),
			status: 400, reason: "malformed: the value after Bearer is not a token",
		},
		{
			name: "the token as subprotocol without an upgrade", fields: websocketBy(who.token)[4:],
			want: and(want, "Sec-Websocket-Protocol", "v4.channel.k8s.io"),
		},
	}
	for _, bad := range source.bad {
		status := bad.status
		if status == 0 {
			status = http.StatusUnauthorized
		}
		exchanges = append(
			exchanges,
			exchange{name: bad.name, fields: []string{bearer(bad.token)}, status: status, reason: bad.reason},
			exchange{name: bad.name + ", with hostile fields", fields: with(hostile, bearer(bad.token)), status: status, reason: bad.reason},
			exchange{name: bad.name + ", for a websocket", fields: websocketBy(bad.token), status: status, reason: bad.reason},
		)
	}
	return exchanges
}

// Each source of tokens with each injector: what the upstream receives, whole, for good
// tokens, bad ones, none, and clients that add what makes somebody else of them.
func TestTokenMatrix(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes := api.kubeconfig(t)
	for _, source := range tokenSources(t, issuer, api) {
		for _, injector := range injectors(t, api) {
			t.Run(source.name+" "+injector.name, func(t *testing.T) {
				g := tokenGuard(t, overH2C, tokenSite(tokenBlock("*", kubernetes, source.block, injector.block)))
				g.warmUp(t, source)
				g.run(t, matrixOf(t, source, injector))
				g.runTokensHTTP2(t, source, injector)
			})
		}
	}
	// not one a token: one a configuration, and one when it is 10 s old, for keys that it does not know
	if n := issuer.fetches.Load(); n > 3*12 {
		t.Errorf("the issuer was asked %d times for its keys", n)
	}
}

// warmUp waits until the first token of the service account is there, so that what
// requests must carry is known before they are sent.
func (g *guarded) warmUp(t *testing.T, source oneSource) {
	t.Helper()
	got := g.send(t, trustedPeer, "GET / HTTP/1.1", []string{bearer(source.good(t).token)}, "")
	if got.status != http.StatusOK {
		t.Fatalf("status %d, %+v", got.status, g.Refusals(t))
	}
	g.upstream.Take()
}

// runTokensHTTP2 asks one source and one injector over HTTP/2 without TLS.
func (g *guarded) runTokensHTTP2(t *testing.T, source oneSource, injector oneInjector) {
	t.Helper()
	who := source.good(t)
	var hostile []field
	for _, line := range slices.Concat(hostileFields(source.good(t).token), injector.hostile) {
		name, value, _ := strings.Cut(line, ": ")
		if name != "Connection" && !strings.Contains(name, "_") { // the one is not allowed there
			hostile = append(slices.Clip(hostile), field{strings.ToLower(name), value})
		}
	}
	token := field{"authorization", "Bearer " + who.token}
	for _, e := range []overHTTP2{
		{name: "a good token", fields: []field{token}, want: injector.writes(who)},
		{name: "a good token and hostile fields", fields: append(slices.Clip(hostile), token), want: passed(injector.writes(who))},
		{name: "no token", fields: hostile, status: 401, reason: "no credential"},
		{
			name: "two tokens", fields: []field{token, {"authorization", "Bearer x"}}, status: 400,
			reason: "malformed: 2 lines of Authorization",
		},
		{
			name: "the token as subprotocol", fields: []field{{"sec-websocket-protocol", kubeSubprotocol(who.token) + ", a"}},
			want: and(injector.writes(who), "Sec-Websocket-Protocol", "a"),
		},
		{
			name: "a bad token", fields: append(slices.Clip(hostile), field{"authorization", "Bearer " + source.bad[0].token}),
			status: 401, reason: source.bad[0].reason,
		},
		{
			name: "a token with a blank before", fields: []field{{"authorization", " Bearer " + who.token}},
			status: 401, reason: "rejected: no source accepts what is in Authorization",
		},
		{
			name: "a token with a blank after", fields: []field{{"authorization", "Bearer " + who.token + " "}},
			status: 400, reason: "malformed: the value after Bearer is not a token",
		},
	} {
		t.Run("over HTTP2, "+e.name, func(t *testing.T) {
			g.exchangeTokenHTTP2(t, &e)
		})
	}
}

func (g *guarded) exchangeTokenHTTP2(t *testing.T, e *overHTTP2) {
	t.Helper()
	pseudo := []field{{":method", "GET"}, {":scheme", "http"}, {":authority", siteHost}, {":path", "/"}}
	status, err := sendHTTP2(t, g.Dial(t, trustedPeer), append(pseudo, e.fields...), nil, nil)
	if err != nil || status != max(e.status, http.StatusOK) {
		t.Errorf("status %d, %v, want %d", status, err, max(e.status, http.StatusOK))
	}
	g.checkReason(t, e.reason)
	if e.want == nil {
		g.checkNothing(t)
		return
	}
	want := caddytest.Received{Line: "GET / HTTP/1.1", Header: proxied(trustedPeer, e.want)}
	want.Header["Via"] = []string{"2.0 Caddy"}
	g.checkReceived(t, want)
}
