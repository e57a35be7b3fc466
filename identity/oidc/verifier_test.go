// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// verifierTest is a token of newIssuer's issuer, or one that claims to be.
type verifierTest struct {
	name    string
	changes members
	more    string // another member of the payload, as it is written
	issuer  func(*Issuer)
	want    error
	reason  string
}

func runVerifier(t *testing.T, tests []verifierTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMint(t)
				issuer := newIssuer(m.keys())
				if test.issuer != nil {
					test.issuer(issuer)
				}
				payload := claims(test.changes)
				if test.more != "" {
					payload = claims(test.changes, test.more)
				}
				token := m.token(t, payload)
				wantUser(t, newAuthenticator(t, issuer), token, "oidc:alice", test.want, test.reason)
				if test.want == nil {
					wantSigned(t, &m.key.PublicKey, token)
				}
			})
		})
	}
}

// wantSigned checks with the standard library alone that the key has signed the token.
func wantSigned(tb testing.TB, key *ecdsa.PublicKey, token string) {
	tb.Helper()
	end := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil || len(signature) != 64 {
		tb.Fatalf("a signature of %d bytes, %v", len(signature), err)
	}
	digest := sha256.Sum256([]byte(token[:end]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		tb.Error("accepted, and the key has not signed it")
	}
}

func TestIssuerIsComparedByteForByte(t *testing.T) {
	google := func(i *Issuer) { i.URL = "https://accounts.google.com" }
	long := "https://" + strings.Repeat("x", 5000)
	runVerifier(t, []verifierTest{
		{name: "the issuer", changes: nil},
		{name: "another issuer", changes: members{"iss": "https://eve.example"}, want: identity.ErrAbsent, reason: `the issuer "https://eve.example" is not known`},
		{name: "a trailing slash", changes: members{"iss": issuerURL + "/"}, want: identity.ErrAbsent, reason: `/"`},
		{name: "no trailing slash", changes: members{"iss": issuerURL}, issuer: func(i *Issuer) { i.URL += "/" }, want: identity.ErrAbsent, reason: "not known"},
		{name: "in another case", changes: members{"iss": strings.ToUpper(issuerURL)}, want: identity.ErrAbsent, reason: "not known"},
		{name: "with a port", changes: members{"iss": strings.Replace(issuerURL, ".com", ".com:443", 1)}, want: identity.ErrAbsent, reason: "not known"},
		{name: "with http", changes: members{"iss": strings.Replace(issuerURL, "https", "http", 1)}, want: identity.ErrAbsent, reason: "not known"},
		{name: "with a blank", changes: members{"iss": issuerURL + " "}, want: identity.ErrAbsent, reason: "not known"},
		{name: "only the beginning", changes: members{"iss": issuerURL[:20]}, want: identity.ErrAbsent, reason: "not known"},
		{name: "another realm", changes: members{"iss": issuerURL + "x"}, want: identity.ErrAbsent, reason: "not known"},
		{name: "none", changes: members{"iss": gone{}}, want: identity.ErrAbsent, reason: `the issuer "" is not known`},
		{name: "an empty one", changes: members{"iss": ""}, want: identity.ErrAbsent, reason: `""`},
		{name: "null", changes: members{"iss": nil}, want: identity.ErrAbsent, reason: `""`},
		{name: "a number", changes: members{"iss": 1}, want: identity.ErrAbsent, reason: `""`},
		{name: "a list that has it", changes: members{"iss": []string{issuerURL}}, want: identity.ErrAbsent, reason: `""`},
		{name: "ISS is not iss", changes: members{"iss": gone{}, "ISS": issuerURL}, want: identity.ErrAbsent, reason: `""`},
		{name: "a long one is not shown in full", changes: members{"iss": long}, want: identity.ErrAbsent, reason: fmt.Sprintf("(%d bytes)", len(long))},
		{name: "one that forges a line", changes: members{"iss": "x\nlevel=info"}, want: identity.ErrAbsent, reason: `"x\nlevel=info"`},
		{name: "Google's", changes: members{"iss": "https://accounts.google.com"}, issuer: google},
		// go-oidc and Google's own libraries accept it as the same
		{name: "Google's without the scheme", changes: members{"iss": "accounts.google.com"}, issuer: google, want: identity.ErrAbsent, reason: "not known"},
	})
}

func TestTokenIsForTheAudience(t *testing.T) {
	runVerifier(t, []verifierTest{
		{name: "for us", changes: members{"aud": clientID}},
		{name: "for us, in a list", changes: members{"aud": []string{clientID}}},
		{name: "for us by our other name", changes: members{"aud": "console"}, issuer: func(i *Issuer) { i.Audiences = []string{clientID, "console"} }},
		{name: "for another", changes: members{"aud": "grafana"}, want: identity.ErrRejected, reason: `another audience: "grafana"`},
		{name: "for two others", changes: members{"aud": []string{"grafana", "argocd"}}, want: identity.ErrRejected, reason: `"grafana" and 1 more`},
		{name: "for us in another case", changes: members{"aud": "Dashboard"}, want: identity.ErrRejected, reason: "another audience"},
		{name: "for the beginning of our name", changes: members{"aud": "dash"}, want: identity.ErrRejected, reason: "another audience"},
		{name: "for several in one text", changes: members{"aud": "other dashboard"}, want: identity.ErrRejected, reason: "another audience"},
		{name: "for an empty audience", changes: members{"aud": ""}, want: identity.ErrRejected, reason: "another audience"},
		{name: "for an empty list", changes: members{"aud": []string{}}, want: identity.ErrRejected, reason: "another audience: none"},
		{name: "without aud", changes: members{"aud": gone{}}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "with an AUD alone", changes: members{"aud": gone{}, "AUD": clientID}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "with a client_id alone", changes: members{"aud": gone{}, "client_id": clientID, "azp": clientID}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "null", changes: members{"aud": nil}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "a number", changes: members{"aud": 1}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "an object", changes: members{"aud": members{clientID: clientID}}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "a list with a number beside us", changes: members{"aud": []any{clientID, 1}}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "a list with null beside us", changes: members{"aud": []any{nil, clientID}}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
		{name: "a list in a list", changes: members{"aud": []any{[]any{clientID}}}, want: identity.ErrRejected, reason: `"aud" is not a string or`},
	})
}

// A token that was issued to another client, which passes it on to us. Keycloak gives the
// access tokens of every client the audience "account".
func TestTokenWasIssuedToAnAuthorizedParty(t *testing.T) {
	two := []string{"other", clientID}
	parties := func(i *Issuer) { i.Parties = []string{"cli", "portal"} }
	unchecked := func(i *Issuer) { i.CheckParty = false }
	const another, unnamed = "issued to another client: ", "does not say to which client it was issued (azp)"
	runVerifier(t, []verifierTest{
		{name: "for several without azp, as kube-apiserver takes it", changes: members{"aud": two}},
		{name: "for several, azp is null", changes: members{"aud": two, "azp": nil}},
		{name: "for several, issued to us", changes: members{"aud": two, "azp": clientID}},
		{name: "for several, issued to another", changes: members{"aud": two, "azp": "other"}, want: identity.ErrRejected, reason: another + `"other" (azp)`},
		{name: "for several, azp is a list", changes: members{"aud": two, "azp": []string{clientID}}, want: identity.ErrRejected, reason: another + `""`},
		{name: "for several, azp is empty", changes: members{"aud": two, "azp": ""}, want: identity.ErrRejected, reason: another + `""`},
		{name: "for us twice, issued to another", changes: members{"aud": []string{clientID, clientID}, "azp": "other"}, want: identity.ErrRejected, reason: another},
		{name: "for us alone without azp", changes: nil},
		{name: "for us alone, issued to another", changes: members{"aud": clientID, "azp": "other"}},
		{name: "for us alone in a list, issued to another", changes: members{"aud": []string{clientID}, "azp": "other"}},

		{name: "with parties, issued to one", changes: members{"azp": "portal"}, issuer: parties},
		{name: "with parties, issued to us", changes: members{"azp": clientID}, issuer: parties},
		{name: "with parties, issued to another", changes: members{"azp": "evil"}, issuer: parties, want: identity.ErrRejected, reason: another + `"evil" (azp)`},
		{name: "with parties, issued to one in another case", changes: members{"azp": "CLI"}, issuer: parties, want: identity.ErrRejected, reason: another},
		{name: "with parties, without azp", changes: nil, issuer: parties, want: identity.ErrRejected, reason: unnamed},
		{name: "with parties, azp is null", changes: members{"azp": nil}, issuer: parties, want: identity.ErrRejected, reason: unnamed},
		{name: "with parties, an AZP alone", changes: members{"AZP": "cli"}, issuer: parties, want: identity.ErrRejected, reason: unnamed},
		{name: "with parties, azp is a list of them", changes: members{"azp": []string{"cli"}}, issuer: parties, want: identity.ErrRejected, reason: another},
		{name: "with parties, a client_id alone", changes: members{"client_id": "cli"}, issuer: parties, want: identity.ErrRejected, reason: unnamed},
		{name: "with parties, for several, issued to one", changes: members{"aud": two, "azp": "portal"}, issuer: parties},
		{name: "with parties, for several, issued to us", changes: members{"aud": two, "azp": clientID}, issuer: parties},
		{name: "with parties, for several, issued to another of these", changes: members{"aud": two, "azp": "other"}, issuer: parties, want: identity.ErrRejected, reason: another},
		{name: "with parties, for several without azp", changes: members{"aud": two}, issuer: parties, want: identity.ErrRejected, reason: unnamed},
		{name: "for a party, issued to it", changes: members{"aud": "portal", "azp": "portal"}, issuer: parties, want: identity.ErrRejected, reason: "another audience"},

		{name: "for several, when azp is not checked", changes: members{"aud": two, "azp": "other"}, issuer: unchecked},
		{name: "for several, without azp, when azp is not checked", changes: members{"aud": two}, issuer: unchecked},
		{name: "for others, when azp is not checked", changes: members{"aud": "other", "azp": clientID}, issuer: unchecked, want: identity.ErrRejected, reason: "another audience"},
	})
}

// Tokens of the issuer for our audience, in time and signed, that are not credentials: logout
// tokens without an explicit type, and tokens that a thief may have without their key.
func TestTokenIsNotACredentialOfItsBearer(t *testing.T) {
	const logout = "http://schemas.openid.net/event/backchannel-logout"
	const events, bound = "the token reports events", "the token is bound by a cnf that is not understood"
	authenticationConfig := func(i *Issuer) { i.CheckParty = false }
	runVerifier(t, []verifierTest{
		{name: "a logout", changes: members{"events": members{logout: members{}}, "sid": "1"}, want: identity.ErrRejected, reason: events},
		{name: "a logout, with a file of the API server", changes: members{"events": members{logout: members{}}}, issuer: authenticationConfig, want: identity.ErrRejected, reason: events},
		{name: "another event", changes: members{"events": members{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": members{}}}, want: identity.ErrRejected, reason: events},
		{name: "events that are empty", changes: members{"events": members{}}, want: identity.ErrRejected, reason: events},
		{name: "events that are a list", changes: members{"events": []string{logout}}, want: identity.ErrRejected, reason: events},
		{name: "events that are null", changes: members{"events": nil}, want: identity.ErrRejected, reason: events},
		{name: "event is not events", changes: members{"event": members{logout: members{}}}},
		{name: "bound to a certificate (RFC 8705)", changes: members{"cnf": members{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}, want: identity.ErrRejected, reason: "the token is bound to a certificate, and the client does not have one"},
		{name: "bound to a key of DPoP (RFC 9449)", changes: members{"cnf": members{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, want: identity.ErrRejected, reason: bound},
		{name: "bound to a key, with a file of the API server", changes: members{"cnf": members{"kid": "1"}}, issuer: authenticationConfig, want: identity.ErrRejected, reason: bound},
		{name: "bound to nothing", changes: members{"cnf": members{}}, want: identity.ErrRejected, reason: bound},
		{name: "bound to a text", changes: members{"cnf": "x"}, want: identity.ErrRejected, reason: bound},
		{name: "bound to null", changes: members{"cnf": nil}, want: identity.ErrRejected, reason: bound},
	})
}

// newIssuer has ten seconds of skew after exp, and four minutes before nbf.
func TestTokenIsValidNow(t *testing.T) {
	strict := func(i *Issuer) { i.Skew, i.Early = 0, 0 }
	runVerifier(t, []verifierTest{
		{name: "good for a second", changes: members{"exp": in(time.Second)}},
		{name: "until this very second", changes: members{"exp": in(0)}},
		{name: "until this very second, without skew", changes: members{"exp": in(0)}, issuer: strict},
		{name: "expired a second ago, without skew", changes: members{"exp": in(-time.Second)}, issuer: strict, want: identity.ErrRejected, reason: "expired 1s ago"},
		{name: "expired within the skew", changes: members{"exp": in(-10 * time.Second)}},
		{name: "expired beyond the skew", changes: members{"exp": in(-11 * time.Second)}, want: identity.ErrRejected, reason: "expired 11s ago"},
		{name: "expired a year ago", changes: members{"exp": in(-365 * 24 * time.Hour)}, want: identity.ErrRejected, reason: "expired "},
		{name: "good for ever", changes: members{"exp": gone{}}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "good until EXP", changes: members{"exp": gone{}, "EXP": in(time.Hour)}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "null", changes: members{"exp": nil}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "a text", changes: members{"exp": "4102444800"}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "a date", changes: members{"exp": "2100-01-01T00:00:00Z"}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "a list", changes: members{"exp": []int{4102444800}}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "true", changes: members{"exp": true}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "before 1970", changes: members{"exp": -1}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "a little before 1970", changes: members{"exp": -1e-9}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "1970", changes: members{"exp": 0}, want: identity.ErrRejected, reason: "expired "},
		{name: "minus nothing", changes: members{"exp": raw("-0")}, want: identity.ErrRejected, reason: "expired "},
		{name: "with a fraction", changes: members{"exp": raw("4102444800.75")}},
		{name: "with an exponent", changes: members{"exp": raw("4.1024448E9")}},
		{name: "the last second of 9999", changes: members{"exp": 253402300799}},
		{name: "the year 10000", changes: members{"exp": 253402300800}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "in milliseconds", changes: members{"exp": 4102444800000}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "beyond all integers", changes: members{"exp": raw("1e300")}, want: identity.ErrRejected, reason: `"exp" is not a time`},
		{name: "beyond all floats", changes: members{"exp": raw("1e999")}, want: identity.ErrRejected, reason: "number is too large"},

		{name: "good since now", changes: members{"nbf": in(0)}},
		{name: "good from now on, without leeway", changes: members{"nbf": in(0)}, issuer: strict},
		{name: "good in a second, without leeway", changes: members{"nbf": in(time.Second)}, issuer: strict, want: identity.ErrRejected, reason: "becomes valid in 1s"},
		{name: "good within the leeway", changes: members{"nbf": in(3 * time.Minute)}},
		{name: "good at its end", changes: members{"nbf": in(4 * time.Minute)}},
		{name: "good beyond it", changes: members{"nbf": in(4*time.Minute + time.Second)}, want: identity.ErrRejected, reason: "becomes valid in 4m1s"},
		{name: "good since 1970", changes: members{"nbf": 0}},
		{name: "nbf is null", changes: members{"nbf": nil}, want: identity.ErrRejected, reason: `"nbf" is not a time`},
		{name: "nbf is a text", changes: members{"nbf": "0"}, want: identity.ErrRejected, reason: `"nbf" is not a time`},
		{name: "nbf is before 1970", changes: members{"nbf": -1}, want: identity.ErrRejected, reason: `"nbf" is not a time`},
		{name: "nbf is beyond all time", changes: members{"nbf": raw("1e300")}, want: identity.ErrRejected, reason: `"nbf" is not a time`},
		// neither OpenID Connect nor the API server has a rule for these
		{name: "issued tomorrow", changes: members{"iat": in(24 * time.Hour)}},
		{name: "never issued", changes: members{"iat": gone{}}},
	})
}

// An identity within the skew still has the token's own expiry, so that a stream ends then.
func TestExpiryIsTheTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		a := newAuthenticator(t, newIssuer(m.keys()))
		a.Skew = 7 * time.Second
		for _, ago := range []time.Duration{5 * time.Second, -time.Minute} {
			id, err := a.Authenticate(t.Context(), new(identity.Request), m.token(t, claims(members{"exp": in(-ago)})))
			if err != nil || !id.Expires.Equal(time.Now().Add(-ago)) || id.Skew != 7*time.Second {
				t.Fatalf("%v, %v", id, err)
			}
		}
	})
}

func TestSignatureIsByAKeyOfTheIssuer(t *testing.T) {
	m, eve := newMint(t), newMint(t)
	unavailable := fmt.Errorf("%w: fetching keys: no route", identity.ErrUnavailable)
	tests := []struct {
		name   string
		by     *mint
		keys   *fakeKeys
		want   error
		reason string
	}{
		{"the issuer's", m, m.keys(), nil, ""},
		{"by another key", eve, m.keys(), identity.ErrRejected, "bad signature"},
		{"of one of its keys", m, &fakeKeys{public: []crypto.PublicKey{eve.key.Public(), m.key.Public()}}, nil, ""},
		{"of an issuer without keys", m, &fakeKeys{}, identity.ErrRejected, "bad signature"},
		{"of an issuer that is out of reach", m, &fakeKeys{err: unavailable}, identity.ErrUnavailable, "fetching keys: no route"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthenticator(t, newIssuer(test.keys))
			token := test.by.token(t, claims(nil))
			wantUser(t, a, token, "oidc:alice", test.want, test.reason)
			if test.keys.err != nil {
				_, err := a.Authenticate(t.Context(), new(identity.Request), token)
				if !errors.Is(err, test.keys.err) {
					t.Errorf("%v is not the error of the keys", err)
				}
			}
		})
	}
}

// otherPayload are keys that verify another payload than the one that was read.
type otherPayload struct{ *fakeKeys }

func (otherPayload) VerifySignature(context.Context, string, Header) ([]byte, error) {
	return []byte(claims(members{"sub": "eve"})), nil
}

func TestPayloadThatWasVerifiedIsTheOneThatWasRead(t *testing.T) {
	m := newMint(t)
	a := newAuthenticator(t, newIssuer(otherPayload{m.keys()}))
	wantUser(t, a, m.token(t, claims(nil)), "", identity.ErrRejected, "the signed claims are not those that were read")
}

// Tokens that cannot be good are refused before the signature, which takes most of the time.
func TestCheapChecksGoFirst(t *testing.T) {
	m := newMint(t)
	for name, changes := range map[string]members{
		"another issuer": {"iss": "x"}, "another audience": {"aud": "x"}, "expired": {"exp": 1}, "not yet": {"nbf": in(time.Hour)},
		"another party": {"aud": []string{clientID, "x"}, "azp": "x"}, "a logout": {"events": members{}},
	} {
		keys := m.keys()
		if _, err := newAuthenticator(t, newIssuer(keys)).Authenticate(t.Context(), new(identity.Request), m.token(t, claims(changes))); err == nil {
			t.Errorf("%s: not refused", name)
		}
		if keys.asked.Load() != 0 {
			t.Errorf("%s: the keys are asked", name)
		}
	}
}

// The issuer is chosen by the same claim; a mistake there alone must not be enough.
func TestIssuerRefusesTheTokensOfAnother(t *testing.T) {
	m := newMint(t)
	token, err := read(m.token(t, claims(nil)))
	if err != nil {
		t.Fatal(err)
	}
	issuer := newIssuer(m.keys())
	if _, err := issuer.verify(t.Context(), token, time.Now()); err != nil {
		t.Fatal(err)
	}
	issuer.URL += "/"
	_, err = issuer.verify(t.Context(), token, time.Now())
	wantRefusal(t, token.raw, err, identity.ErrRejected, "from another issuer")
}

// The API server refuses these too, since go-oidc cannot read them.
func TestClaimsOfTheStandardHaveTheirTypes(t *testing.T) {
	byName := func(i *Issuer) { i.Mapper = &Mapping{Username: "user", UsernamePrefix: "oidc:"} }
	named := func(claim string, value any) members { return members{"user": "alice", "sub": gone{}, claim: value} }
	runVerifier(t, []verifierTest{
		{name: "another claim is the name", changes: named("x", 1), issuer: byName},
		{name: "sub is null", changes: named("sub", nil), issuer: byName},
		{name: "sub is a number", changes: named("sub", 1000), issuer: byName, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "sub is a list", changes: named("sub", []string{"alice"}), issuer: byName, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "nonce is a number", changes: members{"nonce": 1}, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at_hash is true", changes: members{"at_hash": true}, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "nonce and at_hash are null", changes: members{"nonce": nil, "at_hash": nil}},
		{name: "iat is a date", changes: members{"iat": "today"}, want: identity.ErrRejected, reason: `"iat" is not a time`},
		// go-oidc takes this one
		{name: "iat is a number in quotes", changes: members{"iat": "1"}, want: identity.ErrRejected, reason: `"iat" is not a time`},
		{name: "iat is null", changes: members{"iat": nil}, want: identity.ErrRejected, reason: `"iat" is not a time`},
		{name: "iat is before 1970", changes: members{"iat": -1.5}},
	})
}

// Distributed claims matter if groups are expected and not in the token; go-oidc requires
// their source in any case.
func TestDistributedClaims(t *testing.T) {
	const place = `"_claim_sources":{"src1":{"endpoint":"https://graph.example/groups","access_token":"secret"}}`
	runVerifier(t, []verifierTest{
		{name: "the groups", more: `"_claim_names":{"groups":"src1"},` + place, want: identity.ErrForbidden, reason: "left out the groups"},
		{name: "the groups, which are in the token too", changes: members{"groups": []string{"dev"}}, more: `"_claim_names":{"groups":"src1"},` + place},
		{name: "something else", more: `"_claim_names":{"address":"src1"},` + place},
		{name: "nothing", more: `"_claim_names":{},"_claim_sources":{}`},
		{name: "nothing, as null", more: `"_claim_names":null,"_claim_sources":null`},
		{name: "a source without a claim", more: place},
		{name: "without a source", more: `"_claim_names":{"groups":"src1"}`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "something else without a source", more: `"_claim_names":{"address":"src1"}`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at a source that is not there", more: `"_claim_names":{"groups":"src2"},` + place, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at a source without a name", more: `"_claim_names":{"groups":""},"_claim_sources":{"":{}}`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at a source that is a number", more: `"_claim_names":{"groups":7},` + place, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at a source that is not an object", more: `"_claim_names":{"address":"src1"},"_claim_sources":{"src1":7}`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "at an endpoint that is a number", more: `"_claim_names":{},"_claim_sources":{"src1":{"endpoint":7}}`, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "the names are a list", more: `"_claim_names":["groups"],` + place, want: identity.ErrRejected, reason: goOIDCRefuses},
		{name: "the sources are a list", more: `"_claim_names":{},"_claim_sources":["src1"]`, want: identity.ErrRejected, reason: goOIDCRefuses},
	})
}
