// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	goOIDCCannotRead = "go-oidc, the API server's verifier, cannot read the token"
	goOIDCRefuses    = "go-oidc, the API server's verifier, refuses the token's claims"
)

// setKeys are keys that never change.
type setKeys struct{ set *keySet }

func (k setKeys) VerifySignature(_ context.Context, token string, header Header) ([]byte, error) {
	return k.set.verify(token, header)
}

func (k setKeys) Generation() uint64 { return k.set.generation }

// published are the mint's key as k1, and another one as k2, as an issuer publishes them.
func (m *mint) published(tb testing.TB) setKeys {
	tb.Helper()
	own := membersOf(tb, jose.JSONWebKey{Key: &m.key.PublicKey, KeyID: "k1"})
	return setKeys{mustParseKeySet(tb, own, publicJWK(tb, "p256-1", jwkMembers{"kid": "k2"}))}
}

// wantReason wants this text exactly: go-oidc's own would be more.
func wantReason(tb testing.TB, err error, sentinel error, reason string) {
	tb.Helper()
	if err == nil || !identity.IsRefusal(err) || err.Error() != sentinel.Error()+": "+reason {
		tb.Errorf("%v, want exactly %v: %s", err, sentinel, reason)
	}
}

// go-oidc compares the issuer, the audience and the times once more. Here the checks before it
// are left out, as if they had a mistake. Its texts quote all that it compares, and these
// values must not get into the log.
func TestGoOIDCRefusesWhatTheChecksBeforeItLetThrough(t *testing.T) {
	m := newMint(t)
	another := func(i *Issuer) { i.URL = "https://another.example" }
	none := func(i *Issuer) { i.Skew, i.Early = 0, 0 }
	most := func(i *Issuer) { i.Skew, i.Early = 150*time.Second, 150*time.Second }
	for _, test := range []struct {
		name     string
		changes  members
		issuer   func(*Issuer)
		audience string
		reason   string // empty: accepted
	}{
		{"a good token", nil, nil, clientID, ""},
		{"another issuer", nil, another, clientID, goOIDCRefuses},
		{"Google's issuer is not another's", members{"iss": "accounts.google.com"}, nil, clientID, goOIDCRefuses},
		{"another audience", nil, nil, "another", goOIDCRefuses},
		{"an audience that is a part of ours", nil, nil, clientID[:4], goOIDCRefuses},
		{"no audience", nil, nil, "", goOIDCRefuses},
		{"the second of two audiences", members{"aud": []string{"x", clientID}}, nil, clientID, ""},
		{"expired within the skew", members{"exp": in(-10 * time.Second)}, nil, clientID, ""},
		{"expired beyond the skew", members{"exp": in(-11 * time.Second)}, nil, clientID, goOIDCRefuses},
		{"expired now", members{"exp": in(0)}, none, clientID, ""},
		{"expired a second ago, without skew", members{"exp": in(-time.Second)}, none, clientID, goOIDCRefuses},
		{"expired a minute ago, with the most skew that go-oidc checks", members{"exp": in(-time.Minute)}, most, clientID, ""},
		{"expired beyond this skew", members{"exp": in(-151 * time.Second)}, most, clientID, goOIDCRefuses},
		{"good in an hour", members{"nbf": in(time.Hour)}, none, clientID, goOIDCRefuses},
		{"without exp", members{"exp": gone{}}, nil, clientID, goOIDCRefuses},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer(m.keys())
				if test.issuer != nil {
					test.issuer(issuer)
				}
				token, err := read(m.token(t, claims(test.changes)))
				if err != nil {
					t.Fatal(err)
				}
				err = issuer.askGoOIDC(t.Context(), token, test.audience, time.Now())
				if test.reason == "" {
					wantRefusal(t, token.raw, err, nil, "")
					return
				}
				wantReason(t, err, identity.ErrRejected, test.reason)
			})
		})
	}
}

// The header that was read is the one that go-oidc reads: a token cannot show one of the
// issuer's algorithms here, and be verified by another.
func TestGoOIDCReadsTheAlgorithmThatWasRead(t *testing.T) {
	m := newMint(t)
	token, err := read(m.token(t, claims(nil)))
	if err != nil {
		t.Fatal(err)
	}
	token.header.Algorithm = "ES384"
	keys := m.keys()
	err = newIssuer(keys).askGoOIDC(t.Context(), token, clientID, time.Now())
	wantReason(t, err, identity.ErrRejected, goOIDCCannotRead)
	if keys.asked.Load() != 0 {
		t.Error("the keys are asked")
	}
}

// A token that lists other audiences first is still compared with one of ours.
func TestGoOIDCIsAskedForAnAudienceOfOurs(t *testing.T) {
	issuer := &Issuer{Audiences: []string{"a", clientID}}
	if audience, err := issuer.checkAudience(Claims{"aud": []any{"x", clientID}}); audience != clientID || err != nil {
		t.Errorf("%q, %v", audience, err)
	}
}

// go-oidc has one clock for exp and nbf, and its own five minutes before nbf: what an operator
// allows beyond these is not lost, and neither is what the operator forbids within them.
func TestSkewIsTheOperators(t *testing.T) {
	skew := func(skew time.Duration) func(*Issuer) { return func(i *Issuer) { i.Skew, i.Early = skew, skew } }
	all := func(i *Issuer) { i.Skew, i.Early = 0, goOIDCEarly }
	const most = goOIDCEarly / 2 // that go-oidc judges too
	runVerifier(t, []verifierTest{
		{name: "good in five minutes, all before nbf", changes: members{"nbf": in(5 * time.Minute)}, issuer: all},
		{name: "good in more, all before nbf", changes: members{"nbf": in(301 * time.Second)}, issuer: all, want: identity.ErrRejected, reason: "becomes valid in 5m1s"},
		{name: "expired, all before nbf", changes: members{"exp": in(-time.Second)}, issuer: all, want: identity.ErrRejected, reason: "expired 1s ago"},
		{name: "good within 2m30s", changes: members{"nbf": in(most)}, issuer: skew(most)},
		{name: "good beyond 2m30s", changes: members{"nbf": in(most + time.Second)}, issuer: skew(most), want: identity.ErrRejected, reason: "becomes valid in 2m31s"},
		{name: "expired within 2m30s", changes: members{"exp": in(-most)}, issuer: skew(most)},
		{name: "expired beyond 2m30s", changes: members{"exp": in(-most - time.Second)}, issuer: skew(most), want: identity.ErrRejected, reason: "expired 2m31s ago"},
		{name: "good within 2m31s", changes: members{"nbf": in(most + time.Second)}, issuer: skew(most + time.Second)},
		{name: "good within 4m", changes: members{"nbf": in(4 * time.Minute)}, issuer: skew(4 * time.Minute)},
		{name: "good beyond 4m", changes: members{"nbf": in(241 * time.Second)}, issuer: skew(4 * time.Minute), want: identity.ErrRejected, reason: "becomes valid in 4m1s"},
		{name: "expired within 4m", changes: members{"exp": in(-4 * time.Minute)}, issuer: skew(4 * time.Minute)},
		{name: "expired beyond 4m", changes: members{"exp": in(-241 * time.Second)}, issuer: skew(4 * time.Minute), want: identity.ErrRejected, reason: "expired 4m1s ago"},
		{name: "good within an hour", changes: members{"nbf": in(time.Hour)}, issuer: skew(time.Hour)},
		{name: "expired within an hour", changes: members{"exp": in(-time.Hour)}, issuer: skew(time.Hour)},
		{name: "expired beyond an hour", changes: members{"exp": in(-time.Hour - time.Second)}, issuer: skew(time.Hour), want: identity.ErrRejected, reason: "expired 1h0m1s ago"},
	})
}

// go-oidc decodes into a struct, and takes other spellings of a name for the same: the API
// server would do so too, and a token must mean the same here and there.
func TestGoOIDCReadsClaimsInAnotherCase(t *testing.T) {
	runVerifier(t, []verifierTest{
		{name: "Nonce is a string", more: `"Nonce":"n"`},
		{name: "Nonce is a number", more: `"Nonce":4711`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "NBF is in the future", changes: members{"NBF": in(time.Hour)}, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "IAT is a date", changes: members{"iat": gone{}}, more: `"IAT":"today"`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "_CLAIM_NAMES without a source", more: `"_CLAIM_NAMES":{"x":"y"}`, want: identity.ErrRejected, reason: goOIDCRefuses},
	})
}

// A token that the reader here or a cheap check refuses never reaches go-oidc, which could
// not read any of these headers, and would have been given as the reason.
func TestWhatIsRefusedFirstDoesNotReachGoOIDC(t *testing.T) {
	m := newMint(t)
	sign := func(changes members, header string, more ...string) string {
		return m.sign(t, `{"jwk":{"kty":"oct","k":"AAAA"},`+header+`}`, claims(changes, more...))
	}
	const plain = `"alg":"ES256"`
	for name, token := range map[string]string{
		"a name twice":               sign(nil, plain, `"sub":"eve"`),
		"half a surrogate pair":      sign(nil, plain, `"x":"\ud800"`),
		"a number beyond all floats": sign(nil, plain, `"x":1e999`),
		"an extension":               sign(nil, plain+`,"crit":["x"]`),
		"unencoded":                  sign(nil, plain+`,"b64":false`),
		"a logout token":             sign(nil, plain+`,"typ":"logout+jwt"`),
		"a token in the token":       sign(nil, plain+`,"cty":"JWT"`),
		"a MAC":                      sign(nil, `"alg":"HS256"`),
		"not signed":                 sign(nil, `"alg":"none"`),
		"not the issuer's algorithm": sign(nil, `"alg":"RS256"`),
		"events":                     sign(members{"events": members{}}, plain),
		"another issuer":             sign(members{"iss": "https://x.example"}, plain),
		"another audience":           sign(members{"aud": "x"}, plain),
		"another party":              sign(members{"aud": []string{clientID, "x"}, "azp": "x"}, plain),
		"expired":                    sign(members{"exp": 1}, plain),
		"not yet":                    sign(members{"nbf": in(time.Hour)}, plain),
		"issued in words":            sign(members{"iat": "1"}, plain),
		"not in base64url":           sign(nil, plain) + "=",
		"a JWE":                      sign(nil, plain) + "..",
		"a JWS in JSON":              `{"payload":"","protected":"","signature":""}`,
	} {
		keys := m.keys()
		issuer := newIssuer(keys)
		issuer.Algorithms = []string{"ES256"}
		_, err := newAuthenticator(t, issuer).Authenticate(t.Context(), new(identity.Request), token)
		if !identity.IsRefusal(err) || strings.Contains(err.Error(), "go-oidc") || keys.asked.Load() != 0 {
			t.Errorf("%s: %v, and the keys are asked %d times", name, err, keys.asked.Load())
		}
	}
	keys := m.keys()
	_, err := newAuthenticator(t, newIssuer(keys)).Authenticate(t.Context(), new(identity.Request), sign(nil, plain))
	wantReason(t, err, identity.ErrRejected, goOIDCCannotRead)
	if keys.asked.Load() != 0 {
		t.Error("the keys are asked about a token that go-oidc cannot read")
	}
}

// go-oidc passes on the text of a failed look-up, and not the error: "out of reach" would be
// "rejected", and the client would be told to log in again.
func TestErrorsOfTheKeysComeThroughGoOIDC(t *testing.T) {
	m := newMint(t)
	token := m.token(t, claims(nil))
	for _, sentinel := range []error{identity.ErrUnavailable, identity.ErrRejected, identity.ErrInternal} {
		cause := errors.New("the cause")
		want := fmt.Errorf("%w: fetching keys: %w", sentinel, cause)
		_, err := newAuthenticator(t, newIssuer(&fakeKeys{err: want})).Authenticate(t.Context(), new(identity.Request), token)
		if !errors.Is(err, cause) {
			t.Errorf("%v does not have the cause", err)
		}
		wantReason(t, err, sentinel, "fetching keys: the cause")
	}
}

// The same with the keys of an issuer that is down, then back, and then changes its key.
func TestIssuersOutageAndRotationThroughGoOIDC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newFakeIssuer(t)
		network.answer(keysConfig, fakeAnswer{err: errors.New("no route")})
		issuer := newIssuer(network.remoteKeys(t, nil))
		issuer.URL = keysIssuer
		try := func(by string) error {
			header := encode(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, by))
			payload := encode(claims(members{"iss": keysIssuer, "jti": time.Now().String()}))
			input := header + "." + payload
			token := input + "." + encode(string(signatureOf(t, by, "ES256", input)))
			id, err := newAuthenticator(t, issuer).Authenticate(t.Context(), new(identity.Request), token)
			if err == nil && id.Username != "oidc:alice" {
				t.Errorf("the user is %q", id.Username)
			}
			return err
		}
		if err := try("p256-1"); !identity.IsRefusal(err) || !errors.Is(err, identity.ErrUnavailable) || !strings.Contains(err.Error(), "there are no keys of the issuer: ") {
			t.Errorf("%v, and the issuer is down", err)
		}
		network.answer(keysConfig, newFakeIssuer(t).answers[keysConfig])
		network.publish(t, "p256-1")
		time.Sleep(time.Minute)
		if err := try("p256-1"); err != nil {
			t.Errorf("%v, and the issuer is back", err)
		}
		network.publish(t, "p256-2")
		time.Sleep(time.Minute)
		if err := try("p256-2"); err != nil {
			t.Errorf("%v of the new key", err)
		}
		if err := try("p256-1"); !identity.IsRefusal(err) || !errors.Is(err, identity.ErrRejected) || !errors.Is(err, errUnknownKey) {
			t.Errorf("%v of the key that was withdrawn", err)
		}
	})
}

// panickingKeys panic, as a parser does that they use.
type panickingKeys struct{ *fakeKeys }

func (panickingKeys) VerifySignature(context.Context, string, Header) ([]byte, error) {
	panic("the value of a claim")
}

// A panic in a library refuses the token, and does not end the process.
func TestPanicsAreRefusals(t *testing.T) {
	m := newMint(t)
	broken := m.published(t)
	broken.set.byID["k1"][0].key = &ecdsa.PublicKey{}
	foreign := m.published(t)
	foreign.set.byID["k1"][0].key = &rsa.PublicKey{}
	for _, keys := range []Keys{broken, foreign, panickingKeys{m.keys()}} {
		token := m.token(t, claims(nil))
		_, err := newAuthenticator(t, newIssuer(keys)).Authenticate(t.Context(), new(identity.Request), token)
		wantRefusal(t, token, err, identity.ErrRejected, "")
		if strings.Contains(err.Error(), "claim") {
			t.Errorf("%v has the value of the panic", err)
		}
	}
}

// The URLs in a token are those of the party that made it, which may be an attacker.
func TestNothingThatATokenPointsToIsFetched(t *testing.T) {
	m := newMint(t)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	defer server.Close()
	places, err := json.Marshal(members{"src1": members{"endpoint": server.URL + "/claims", "access_token": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	header := fmt.Sprintf(`{"alg":"ES256","kid":"k1","jku":"%[1]s/jku","x5u":"%[1]s/x5u"}`, server.URL)
	token := m.sign(t, header, claims(nil, `"_claim_names":{"phone":"src1"},"_claim_sources":`+string(places)))
	wantUser(t, newAuthenticator(t, newIssuer(m.published(t))), token, "oidc:alice", nil, "")
}
