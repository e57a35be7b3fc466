// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestTokenHasTheFormOfACompactJWS(t *testing.T) {
	m := newMint(t)
	good := m.token(t, claims(nil))
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	tests := []struct {
		name, token string
		want        error
		reason      string
	}{
		{"three segments", good, nil, ""},
		{"nothing", "", identity.ErrAbsent, "not a JWT"},
		{"an opaque token", "ya29.a0AfH6SMBx", identity.ErrAbsent, "not a JWT"},
		{"an opaque token with two dots", "a.b.c", identity.ErrAbsent, "not a JWT"},
		{"one segment", head, identity.ErrAbsent, "not a JWT"},
		{"two segments", head + "." + payload, identity.ErrAbsent, "not a JWT"},
		{"four segments", good + "." + signature, identity.ErrAbsent, "not a JWT"},
		{"four segments with an empty one at the end", good + ".", identity.ErrAbsent, "not a JWT"},
		{"five segments, which is a JWE", good + "." + signature + "." + signature, identity.ErrRejected, "(JWE)"},
		{"five segments, all but the first empty", head + "....", identity.ErrRejected, "(JWE)"},
		{"six segments", head + ".....", identity.ErrAbsent, "not a JWT"},
		{"a flood of dots", head + strings.Repeat(".", 1<<20), identity.ErrAbsent, "not a JWT"},
		{"dots alone", "..", identity.ErrAbsent, "not a JWT"},
		{"a JWS in JSON", `{"payload":"` + payload + `","protected":"` + head + `","signature":"` + signature + `"}`, identity.ErrAbsent, "not a JWT"},
		{
			// other readers believed its algorithm (GHSA-jc38-x7x8-2xc8)
			"a JWS in JSON with a header that is not signed",
			`{"payload":"` + payload + `","header":{"alg":"none"},"signature":""}`, identity.ErrAbsent, "not a JWT",
		},
		{"a header that is not JSON", m.sign(t, `{"alg":"ES256"`, claims(nil)), identity.ErrRejected, "header: the text is not JSON"},
		{"a header that is a list", m.sign(t, `["ES256"]`, claims(nil)), identity.ErrAbsent, "not a JWT"},
		{"a header that is null", m.sign(t, `null`, claims(nil)), identity.ErrAbsent, "not a JWT"},
		{"a header that is empty", m.signRaw(t, "."+payload), identity.ErrAbsent, "not a JWT"},
		{"a header behind a blank", m.sign(t, ` {"alg":"ES256"}`, claims(nil)), identity.ErrAbsent, "not a JWT"},
		{"a payload that is empty", m.sign(t, `{"alg":"ES256"}`, ""), identity.ErrRejected, "claims: the text is not JSON"},
		{"a payload that is not an object", m.sign(t, `{"alg":"ES256"}`, "[]"), identity.ErrRejected, "claims: the text is not a JSON object"},
		{"a payload with a name twice", m.token(t, claims(nil, `"sub":"admin"`)), identity.ErrRejected, `claims: the name "sub"`},
		{"a payload with SUB beside sub", m.token(t, claims(nil, `"SUB":"admin"`)), identity.ErrRejected, `claims: the name "SUB"`},
		{"a payload with Aud beside aud", m.token(t, claims(members{"aud": "other"}, `"Aud":"dashboard"`)), identity.ErrRejected, `claims: the name`},
		{"a payload with a name twice further down", m.token(t, claims(nil, `"a":[{"b":1,"b":2}]`)), identity.ErrRejected, `claims: the name "b"`},
		{"a payload that is nested deeply", m.token(t, claims(nil, `"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))), nil, ""},
		{"a payload that is nested too deeply", m.token(t, claims(nil, `"a":`+strings.Repeat("[", 5e4)+strings.Repeat("]", 5e4))), identity.ErrRejected, "not JSON"},
		{"no signature", head + "." + payload + ".", identity.ErrRejected, "bad signature"},
		{"the signature of another token", head + "." + encode(claims(members{"sub": "admin"})) + "." + signature, identity.ErrRejected, "bad signature"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantUser(t, newAuthenticator(t, newIssuer(m.keys())), test.token, "oidc:alice", test.want, test.reason)
		})
	}
}

func TestTokenHasAHeaderOfOneMeaning(t *testing.T) {
	m, eve := newMint(t), newMint(t)
	jwk := func(key any) string {
		text, err := json.Marshal(jose.JSONWebKey{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	own, other := jwk(m.key.Public()), jwk(eve.key.Public())
	private := jwk(eve.key)
	tests := []struct {
		name, header string
		by           *mint
		want         error
		reason       string
	}{
		{"no more than alg", `{"alg":"ES256"}`, m, nil, ""},
		{"unknown names", `{"alg":"ES256","x":{"y":[1]},"nonce":"n"}`, m, nil, ""},

		{"no alg", `{"kid":"k1"}`, m, identity.ErrRejected, `algorithm "" is not`},
		{"none", `{"alg":"none"}`, m, identity.ErrRejected, `algorithm "none" is not`},
		{"None", `{"alg":"None"}`, m, identity.ErrRejected, `algorithm "None" is not`},
		{"nOnE", `{"alg":"nOnE"}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"HS256", `{"alg":"HS256"}`, m, identity.ErrRejected, `algorithm "HS256" is not`},
		{"HS512", `{"alg":"HS512"}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"es256", `{"alg":"es256"}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"ES256K", `{"alg":"ES256K"}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"an alg of JWE", `{"alg":"RSA-OAEP","enc":"A128GCM"}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"an alg with a blank", `{"alg":"ES256 "}`, m, identity.ErrRejected, `is not an asymmetric signature algorithm`},
		{"an alg that forges a line", `{"alg":"ES256\nlevel=info"}`, m, identity.ErrRejected, `"ES256\nlevel=info"`},
		{"an alg that is a list", `{"alg":["ES256"]}`, m, identity.ErrRejected, "alg is not a string"},
		{"an alg that is null", `{"alg":null}`, m, identity.ErrRejected, "alg is not a string"},
		{"another algorithm than the key's", `{"alg":"ES384"}`, m, identity.ErrRejected, "bad signature"},
		{"alg twice", `{"alg":"none","alg":"ES256"}`, m, identity.ErrRejected, "there twice"},
		{"alg twice, in another case", `{"alg":"ES256","ALG":"none"}`, m, identity.ErrRejected, "there twice"},
		{"a name twice further down", `{"alg":"ES256","jwk":{"kty":"EC","kty":"oct"}}`, m, identity.ErrRejected, "there twice"},
		{"ALG alone", `{"ALG":"ES256"}`, m, identity.ErrRejected, `algorithm "" is not`},

		{"an extension that must be understood", `{"alg":"ES256","crit":["exp"],"exp":1}`, m, identity.ErrRejected, "(crit)"},
		{"no extension that must be understood", `{"alg":"ES256","crit":[]}`, m, identity.ErrRejected, "(crit)"},
		{"crit that is null", `{"alg":"ES256","crit":null}`, m, identity.ErrRejected, "(crit)"},
		{"a payload that is signed unencoded", `{"alg":"ES256","b64":false,"crit":["b64"]}`, m, identity.ErrRejected, "(crit)"},
		{"the same without a warning", `{"alg":"ES256","b64":false}`, m, identity.ErrRejected, "(b64)"},
		{"b64 as always", `{"alg":"ES256","b64":true}`, m, identity.ErrRejected, "(b64)"},
		{"b64 that is null", `{"alg":"ES256","b64":null}`, m, identity.ErrRejected, "(b64)"},
		{"a token in the token", `{"alg":"ES256","cty":"JWT"}`, m, identity.ErrRejected, `content is "JWT"`},
		{"a cty that is empty", `{"alg":"ES256","cty":""}`, m, nil, ""},
		{"a cty that is not a string", `{"alg":"ES256","cty":1}`, m, identity.ErrRejected, "cty is not a string"},

		{"JWT", `{"alg":"ES256","typ":"JWT"}`, m, nil, ""},
		{"jwt", `{"alg":"ES256","typ":"jwt"}`, m, nil, ""},
		{"application/jwt", `{"alg":"ES256","typ":"application/jwt"}`, m, nil, ""},
		{"an access token", `{"alg":"ES256","typ":"at+jwt"}`, m, nil, ""},
		{"an access token, in full", `{"alg":"ES256","typ":"application/at+JWT"}`, m, nil, ""},
		{"a type that tells nothing", `{"alg":"ES256","typ":"JOSE"}`, m, nil, ""},
		{"a type that is not a JWT's", `{"alg":"ES256","typ":"Bearer"}`, m, nil, ""},
		{"a type that is empty", `{"alg":"ES256","typ":""}`, m, nil, ""},
		{"a type that is null", `{"alg":"ES256","typ":null}`, m, identity.ErrRejected, "typ is not a string"},
		{"a type that is a number", `{"alg":"ES256","typ":7}`, m, identity.ErrRejected, "typ is not a string"},
		{"a logout token", `{"alg":"ES256","typ":"logout+jwt"}`, m, identity.ErrRejected, `"logout+jwt", which is not a credential`},
		{"a logout token in another case", `{"alg":"ES256","typ":"Logout+JWT"}`, m, identity.ErrRejected, "not a credential"},
		{"a logout token, in full", `{"alg":"ES256","typ":"application/logout+jwt"}`, m, identity.ErrRejected, "not a credential"},
		{"a proof of possession", `{"alg":"ES256","typ":"dpop+jwt"}`, m, identity.ErrRejected, "not a credential"},
		{"a security event", `{"alg":"ES256","typ":"secevent+jwt"}`, m, identity.ErrRejected, "not a credential"},
		{"a type that is not known yet", `{"alg":"ES256","typ":"not-at+jwt"}`, m, identity.ErrRejected, "not a credential"},

		{"a kid that is a number", `{"alg":"ES256","kid":1}`, m, identity.ErrRejected, "kid is not a string"},
		{"a kid that is null", `{"alg":"ES256","kid":null}`, m, identity.ErrRejected, "kid is not a string"},
		{"a kid that is an object", `{"alg":"ES256","kid":{"$ne":""}}`, m, identity.ErrRejected, "kid is not a string"},
		{"a kid twice", `{"alg":"ES256","kid":"k1","kid":"k2"}`, m, identity.ErrRejected, "there twice"},

		// CVE-2026-27962 and older ones: the token contains the key that verifies it
		{"its own key in the header", `{"alg":"ES256","jwk":` + other + `}`, eve, identity.ErrRejected, "bad signature"},
		{"a key of its own, with its private half", `{"alg":"ES256","jwk":` + private + `}`, eve, identity.ErrRejected, goOIDCCannotRead},
		{"a URL of its keys", `{"alg":"ES256","jku":"https://eve.example/jwks"}`, eve, identity.ErrRejected, "bad signature"},
		{"its own certificate", `{"alg":"ES256","x5c":["AAAA"]}`, eve, identity.ErrRejected, goOIDCCannotRead},
		{"a URL of its certificate", `{"alg":"ES256","x5u":"https://eve.example/cert"}`, eve, identity.ErrRejected, "bad signature"},
		{"the issuer's own key in the header is ignored", `{"alg":"ES256","jwk":` + own + `}`, m, nil, ""},
		{"another key in the header is ignored", `{"alg":"ES256","jwk":` + other + `,"jku":"https://eve.example/jwks"}`, m, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			keys := m.keys()
			token := test.by.sign(t, test.header, claims(nil))
			wantUser(t, newAuthenticator(t, newIssuer(keys)), token, "oidc:alice", test.want, test.reason)
		})
	}
}

// A cluster's webhook has tokens of its own, in the form of a JWT: a MAC, or of a type that is
// not a credential elsewhere. The issuer is not ours, so the next source decides.
func TestTokenOfAnotherIssuerIsLeftToTheNextSource(t *testing.T) {
	m := newMint(t)
	foreign := encode(claims(members{"iss": "https://webhook.example"}))
	for _, token := range []string{
		encode(`{"alg":"HS256"}`) + "." + foreign + ".c2ln",
		encode(`{"alg":"ES256K"}`) + "." + foreign + ".c2ln",
		encode(`{"alg":"none"}`) + "." + foreign + ".",
		encode(`{"alg":"ES256","typ":"session+jwt"}`) + "." + foreign + ".c2ln",
		encode(`{"alg":"ES256","crit":["x"],"x":1}`) + "." + foreign + ".c2ln",
		encode(`{"alg":"HS256"}`) + "." + encode(`{"sub":"alice"}`) + ".c2ln",
	} {
		wantUser(t, newAuthenticator(t, newIssuer(m.keys())), token, "", identity.ErrAbsent, "is not known here")
	}
}

// The attack: a MAC whose secret is the public key, which the verifier has.
func TestTokenIsNotAMACWithThePublicKey(t *testing.T) {
	m := newMint(t)
	der, err := x509.MarshalPKIXPublicKey(m.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512} {
		keys := m.keys()
		keys.yes = true
		token := joseToken(t, algorithm, der, claims(nil))
		wantUser(t, newAuthenticator(t, newIssuer(keys)), token, "", identity.ErrRejected, "not an asymmetric signature algorithm")
		if keys.asked.Load() != 0 {
			t.Errorf("the keys are asked about %s", algorithm)
		}
	}
}

func TestTokenIsSignedWithAnAlgorithmOfTheIssuer(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"R": rsaKey, "P": rsaKey, "Ed": edKey}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	keyOf := func(algorithm string) crypto.Signer {
		for prefix, key := range keys {
			if strings.HasPrefix(algorithm, prefix) {
				return key
			}
		}
		return nil
	}
	for _, algorithm := range Algorithms() {
		key := keyOf(algorithm)
		token := joseToken(t, jose.SignatureAlgorithm(algorithm), key, claims(nil))
		issuer := newIssuer(&fakeKeys{public: []crypto.PublicKey{key.Public()}})
		wantUser(t, newAuthenticator(t, issuer), token, "oidc:alice", nil, "")
		issuer.Algorithms = []string{algorithm}
		wantUser(t, newAuthenticator(t, issuer), token, "oidc:alice", nil, "")
		for _, other := range Algorithms() {
			if other != algorithm {
				issuer.Algorithms = []string{other}
				wantUser(t, newAuthenticator(t, issuer), token, "", identity.ErrRejected, "does not sign with "+algorithm)
			}
		}
	}
}

// jose decodes loosely, so it reads each of these as the same token. Another spelling of a good
// token would get past a list of revoked tokens, and past a cache.
func TestTokenIsWrittenInOneWay(t *testing.T) {
	m := newMint(t)
	payload := claims(nil)
	for len(payload)%3 == 0 {
		payload += " "
	}
	good := strings.Split(m.token(t, payload), ".")
	for place, part := range []string{"header", "claims", "signature"} {
		segment := good[place]
		for name, changed := range map[string]string{
			"padding":                  segment + strings.Repeat("=", (4-len(segment)%4)%4),
			"an odd character":         segment + strings.Repeat("A", (5-len(segment)%4)%4),
			"bits that are unused":     loose(t, segment),
			"a line end at the end":    segment + "\n",
			"a carriage return":        segment + "\r",
			"a line end in the middle": segment[:5] + "\r\n" + segment[5:],
			"a blank":                  segment[:5] + " " + segment[5:],
			"the other alphabet":       segment[:5] + "+/" + segment[7:],
			"a percent sign":           segment[:5] + "%" + segment[5:],
			"a NUL":                    segment + "\x00",
		} {
			t.Run(part+" with "+name, func(t *testing.T) {
				segments := append([]string(nil), good...)
				segments[place] = changed
				keys := m.keys()
				keys.yes = true
				wantUser(t, newAuthenticator(t, newIssuer(keys)), strings.Join(segments, "."), "",
					identity.ErrRejected, part+": it is not base64url")
				if keys.asked.Load() != 0 {
					t.Error("the keys are asked")
				}
			})
		}
	}
	for name, token := range map[string]string{
		"a blank before": " " + strings.Join(good, "."), "a line end before": "\n" + strings.Join(good, "."),
	} {
		t.Run(name, func(t *testing.T) {
			wantUser(t, newAuthenticator(t, newIssuer(m.keys())), token, "", identity.ErrAbsent, "not a JWT")
		})
	}
}

// loose changes bits of the last character that are not decoded.
func loose(tb testing.TB, segment string) string {
	tb.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	changed := segment[:len(segment)-1] + string(alphabet[last^1])
	before, err := base64.RawURLEncoding.DecodeString(segment)
	after, errAfter := base64.RawURLEncoding.DecodeString(changed)
	if err != nil || errAfter != nil || string(before) != string(after) {
		tb.Fatalf("%q and %q are two texts", segment, changed)
	}
	return changed
}
