// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestTheServerAcceptsEachAlgorithmExceptEdDSA(t *testing.T) {
	for _, alg := range apiserver.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			want := http.StatusCreated
			if alg == "EdDSA" {
				want = http.StatusUnauthorized
			}
			if got, _ := review(t, server, sign(t, server.Issuer, alg, map[string]any{"sub": "alice"})); got != want {
				t.Errorf("status = %d, want %d", got, want)
			}
		})
	}
}

// The forged tokens are sent to the server, so the status that is wanted here is its own,
// whether it is strict or not.
func TestATokenCanBeForgedInAnyWay(t *testing.T) {
	issuer := server.Issuer
	other := testkube.NewIssuer(t)
	public, err := x509.MarshalPKIXPublicKey(issuer.Key("RS256").Public())
	if err != nil {
		t.Fatal(err)
	}
	stranger := apiserver.PublicJWK(other.Key("RS256"))
	times := fmt.Sprintf(`"iat":%d,"exp":%d`, time.Now().Unix(), time.Now().Add(time.Minute).Unix())
	twice := fmt.Sprintf(`{"iss":%q,"aud":"kube",%s,"sub":"alice","sub":"mallory"}`, issuer.URL, times)

	const good, bad = http.StatusCreated, http.StatusUnauthorized
	for name, test := range map[string]struct {
		change  map[string]any // of the header; nil leaves a member out
		payload string         // instead of a good one
		alg     string         // of the signature, RS256 unless it is set
		key     any            // the issuer's unless it is set
		want    int
	}{
		"nothing is wrong":                 {want: good},
		"no kid":                           {change: map[string]any{"kid": nil}, want: good},
		"an unknown kid":                   {change: map[string]any{"kid": "unknown"}, want: bad},
		"the kid of another key":           {change: map[string]any{"kid": "ES256"}, want: bad},
		"no alg":                           {change: map[string]any{"alg": nil}, want: bad},
		"the alg of another hash":          {change: map[string]any{"alg": "RS512"}, want: bad},
		"an alg in other letters":          {change: map[string]any{"alg": "rs256"}, want: bad},
		"no signature":                     {change: map[string]any{"alg": "none"}, alg: "none", want: bad},
		"no signature, but an alg":         {alg: "none", want: bad},
		"a secret that is the public key":  {change: map[string]any{"alg": "HS256"}, alg: "HS256", key: public, want: bad},
		"a signature of another issuer":    {key: other.Key("RS256"), want: bad},
		"the key beside it":                {change: map[string]any{"jwk": stranger, "kid": nil}, key: other.Key("RS256"), want: bad},
		"the address of a key set":         {change: map[string]any{"jku": other.URL + apiserver.KeysPath}, key: other.Key("RS256"), want: bad},
		"a critical extension":             {change: map[string]any{"crit": []string{"b64"}, "b64": false}, want: bad},
		"a claim twice: the last one wins": {payload: twice, want: good},
		"a payload that is not JSON":       {payload: "{", want: bad},
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := issuer.Payload(map[string]any{"sub": "mallory"})
			if err != nil {
				t.Fatal(err)
			}
			if test.payload != "" {
				payload = []byte(test.payload)
			}
			header := issuer.Header("RS256")
			for member, value := range test.change {
				header[member] = value
				if value == nil {
					delete(header, member)
				}
			}
			if test.alg == "" {
				test.alg = "RS256"
			}
			if test.key == nil {
				test.key = issuer.Key("RS256")
			}
			token, err := apiserver.SignRaw(header, payload, test.alg, test.key)
			if err != nil {
				t.Fatal(err)
			}
			hasParts(t, token, header, payload)
			status, user := review(t, server, token)
			if status != test.want {
				t.Errorf("status = %d, want %d", status, test.want)
			}
			if status == good && user.Username != "oidc:mallory" {
				t.Errorf("username = %q, want oidc:mallory", user.Username)
			}
		})
	}
}

func hasParts(t *testing.T, token string, header map[string]any, payload []byte) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts, want 3", len(parts))
	}
	want, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{string(want), string(payload)} {
		got, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || string(got) != want {
			t.Errorf("part %d = %q, %v, want %q", i, got, err, want)
		}
	}
}

func TestAHeaderOfBytesIsWrittenAsItIs(t *testing.T) {
	const header = `{ "alg":"none", "alg":"RS256" `
	token, err := apiserver.SignRaw([]byte(header), nil, "none", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString([]byte(header)) + ".."; token != want {
		t.Errorf("token = %q, want %q", token, want)
	}
}

// The API server does not accept these algorithms, so they are verified here.
func TestSignaturesOfEdDSAAndOfSecretsAreGood(t *testing.T) {
	edwards := server.Issuer.Key("EdDSA")
	secret := []byte("secret")
	for alg, test := range map[string]struct {
		key    any
		verify func(signed, signature []byte) bool
	}{
		"EdDSA": {edwards, func(signed, signature []byte) bool {
			return ed25519.Verify(edwards.Public().(ed25519.PublicKey), signed, signature)
		}},
		"HS256": {secret, verifyHMAC(sha256.New, secret)},
		"HS384": {secret, verifyHMAC(sha512.New384, secret)},
		"HS512": {secret, verifyHMAC(sha512.New, secret)},
	} {
		t.Run(alg, func(t *testing.T) {
			token, err := apiserver.SignRaw(map[string]any{"alg": alg}, []byte("{}"), alg, test.key)
			if err != nil {
				t.Fatal(err)
			}
			cut := strings.LastIndexByte(token, '.')
			signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
			if err != nil || !test.verify([]byte(token[:cut]), signature) {
				t.Errorf("the signature of %q is bad (%v)", token, err)
			}
		})
	}
}

func verifyHMAC(algorithm func() hash.Hash, secret []byte) func(signed, signature []byte) bool {
	return func(signed, signature []byte) bool {
		mac := hmac.New(algorithm, secret)
		mac.Write(signed)
		return hmac.Equal(mac.Sum(nil), signature)
	}
}

func TestAnyCurveSignsAtItsFullWidth(t *testing.T) {
	for alg, want := range map[string]int{"ES256": 64, "ES384": 96, "ES512": 132} {
		// Always under ES256: SignRaw also makes tokens with mistakes.
		token, err := apiserver.SignRaw(map[string]any{"alg": "ES256"}, nil, "ES256", server.Issuer.Key(alg))
		if err != nil {
			t.Fatal(err)
		}
		signature, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
		if err != nil || len(signature) != want {
			t.Errorf("the signature of the %s key has %d bytes (%v), want %d", alg, len(signature), err, want)
		}
	}
}

func TestAKeyThatDoesNotFitItsAlgorithmIsAnError(t *testing.T) {
	keys := map[string]any{"HS": []byte("secret")}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		keys[alg[:2]] = server.Issuer.Key(alg)
	}
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		for family, key := range keys {
			fits := family == alg[:2] || family == "RS" && alg == "PS256"
			if _, err := apiserver.SignRaw(nil, nil, alg, key); (err == nil) != fits {
				t.Errorf("signing with %s and a key for %s = %v, want an error: %t", alg, family, err, !fits)
			}
		}
	}
	for _, alg := range []string{"", "RS", "RS1", "RS257", "XX256", "none256"} {
		if token, err := apiserver.SignRaw(nil, nil, alg, server.Issuer.Key("RS256")); err == nil {
			t.Errorf("signing with %q = %q, want an error", alg, token)
		}
	}
	if token, err := apiserver.SignRaw(func() {}, nil, "none", nil); err == nil {
		t.Errorf("a header that is not JSON = %q, want an error", token)
	}
}

func TestTheKeySetHasTheKeysOfSign(t *testing.T) {
	var algorithms []string
	for _, key := range server.Issuer.JWKs() {
		algorithms = append(algorithms, key["alg"])
		if key["kid"] != server.Issuer.KeyID(key["alg"]) || key["use"] != "sig" {
			t.Errorf("the key is %v", key)
		}
		for member, value := range apiserver.PublicJWK(server.Issuer.Key(key["alg"])) {
			if key[member] != value {
				t.Errorf("%s of %s = %q, want %q", member, key["alg"], key[member], value)
			}
		}
	}
	if !slices.Equal(algorithms, apiserver.Algorithms()) {
		t.Errorf("keys for %q, want %q", algorithms, apiserver.Algorithms())
	}
	if key := server.Issuer.Key("none"); key != crypto.Signer(nil) {
		t.Errorf("the key for none = %v", key)
	}
}
