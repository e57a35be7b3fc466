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
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// keyPairs are made once: RSA keys take long.
var keyPairs sync.Map

// keyPair returns the key pair of that name, which begins with the key's type: rsa-1,
// p256-x.
func keyPair(tb testing.TB, name string) crypto.Signer {
	tb.Helper()
	made, _ := keyPairs.LoadOrStore(name, sync.OnceValues(func() (key crypto.Signer, err error) {
		switch kind, _, _ := strings.Cut(name, "-"); kind {
		case "rsa":
			key, err = rsa.GenerateKey(rand.Reader, 2048)
		case "rsa1024":
			key, err = rsa.GenerateKey(rand.Reader, 1024)
		case "p256":
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case "p384":
			key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		case "p521":
			key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		case "ed25519":
			_, key, err = ed25519.GenerateKey(rand.Reader)
		default:
			err = fmt.Errorf("unknown kind of key: %s", kind)
		}
		return key, err
	}))
	key, err := made.(func() (crypto.Signer, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// jwkMembers are the members of a JWK; nil removes one.
type jwkMembers map[string]any

// publicJWK returns the JWK for a key pair, with its name for a kid and some members changed.
func publicJWK(tb testing.TB, name string, changed ...jwkMembers) jwkMembers {
	tb.Helper()
	return membersOf(tb, jose.JSONWebKey{Key: keyPair(tb, name).Public(), KeyID: name}, changed...)
}

func membersOf(tb testing.TB, key jose.JSONWebKey, changed ...jwkMembers) jwkMembers {
	tb.Helper()
	content, err := key.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	var members jwkMembers
	if err := json.Unmarshal(content, &members); err != nil {
		tb.Fatal(err)
	}
	for _, change := range changed {
		maps.Copy(members, change)
	}
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return members
}

// jwks returns a document with those keys, each by its name or its members.
func jwks(tb testing.TB, keys ...any) []byte {
	tb.Helper()
	list := make([]any, len(keys))
	for i, key := range keys {
		list[i] = key
		if name, ok := key.(string); ok {
			list[i] = publicJWK(tb, name)
		}
	}
	content, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

const keyPayload = `{"iss":"https://idp.example","sub":"alice"}`

// signedBy returns a token that the key pair has signed, and the header that was read from
// it.
func signedBy(tb testing.TB, name, algorithm, kid string) (string, Header) {
	tb.Helper()
	header := fmt.Sprintf(`{"alg":%q}`, algorithm)
	if kid != "" {
		header = fmt.Sprintf(`{"alg":%q,"kid":%q}`, algorithm, kid)
	}
	return signedAs(tb, name, algorithm, header), Header{Algorithm: algorithm, KeyID: kid}
}

// signedAs returns a token with exactly that header.
func signedAs(tb testing.TB, name, algorithm, header string) string {
	tb.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(keyPayload))
	return input + "." + base64.RawURLEncoding.EncodeToString(signatureOf(tb, name, algorithm, input))
}

func signatureOf(tb testing.TB, name, algorithm, input string) (signature []byte) {
	tb.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[2:]]
	digest := []byte(input)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	var err error
	switch key := keyPair(tb, name).(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(algorithm, "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
		}
	case *ecdsa.PrivateKey:
		r, s, failed := ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Curve.Params().BitSize + 7) / 8
		signature, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), failed
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, digest)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return signature
}

func mustParseKeySet(tb testing.TB, keys ...any) *keySet {
	tb.Helper()
	set, skipped, err := parseKeySet(jwks(tb, keys...))
	if err != nil || skipped != nil {
		tb.Fatal(err, skipped)
	}
	return set
}

// wantKeyError checks that err wraps each of wants, and that it shows nothing of the token.
// Without wants it checks the payload.
func wantKeyError(tb testing.TB, token string, payload []byte, err error, wants ...error) {
	tb.Helper()
	if len(wants) == 0 {
		if err != nil || string(payload) != keyPayload {
			tb.Errorf("%q, %v", payload, err)
		}
		return
	}
	for _, want := range wants {
		if !errors.Is(err, want) {
			tb.Errorf("error %v, want %v", err, want)
		}
	}
	if payload != nil {
		tb.Errorf("there is a payload %q", payload)
	}
	if !identity.IsRefusal(err) {
		tb.Errorf("not exactly one sentinel: %v", err)
	}
	for part := range strings.SplitSeq(token, ".") {
		if err != nil && len(part) > 8 && strings.Contains(err.Error(), part) {
			tb.Errorf("the token is in the error: %v", err)
		}
	}
}

func TestEveryAlgorithmVerifiesWithItsTypeOfKeyOnly(t *testing.T) {
	kinds := map[string]string{
		"RS": "rsa-1", "PS": "rsa-1", "ES256": "p256-1", "ES384": "p384-1", "ES512": "p521-1", "EdDSA": "ed25519-1",
	}
	everything := mustParseKeySet(t, "rsa-1", "p256-1", "p384-1", "p521-1", "ed25519-1")
	for _, algorithm := range Algorithms() {
		name, ok := kinds[algorithm]
		if !ok {
			name = kinds[algorithm[:2]]
		}
		for _, kid := range []string{name, ""} {
			token, header := signedBy(t, name, algorithm, kid)
			payload, err := everything.verify(token, header)
			wantKeyError(t, token, payload, err)
			payload, err = mustParseKeySet(t, strings.TrimSuffix(name, "1")+"2").verify(token, header)
			wantKeyError(t, token, payload, err, identity.ErrRejected)
		}
		// the right kid, and a key of a type that does not have this algorithm
		for _, other := range []string{"rsa-1", "p256-1", "p384-1", "p521-1", "ed25519-1"} {
			if other == name {
				continue
			}
			token, header := signedBy(t, name, algorithm, "k")
			payload, err := mustParseKeySet(t, publicJWK(t, other, jwkMembers{"kid": "k"})).verify(token, header)
			wantKeyError(t, token, payload, err, identity.ErrRejected, errSignature)
		}
	}
}

func TestKeySelection(t *testing.T) {
	many := make([]any, 0, 8)
	for i := range 8 {
		many = append(many, publicJWK(t, "rsa-2", jwkMembers{"kid": fmt.Sprint(i)}))
	}
	short := many[1:]
	for name, test := range map[string]struct {
		keys []any
		kid  string
		want []error
	}{
		"the kid's key":                        {[]any{"rsa-2", "rsa-1"}, "rsa-1", nil},
		"the kid of another key":               {[]any{"rsa-2", "rsa-1"}, "rsa-2", []error{identity.ErrRejected, errSignature}},
		"a kid in another case":                {[]any{"rsa-1"}, "RSA-1", []error{identity.ErrRejected, errUnknownKey}},
		"a part of a kid":                      {[]any{"rsa-1"}, "rsa-", []error{identity.ErrRejected, errUnknownKey}},
		"a kid, but the key has none":          {[]any{publicJWK(t, "rsa-1", jwkMembers{"kid": nil})}, "rsa-1", []error{identity.ErrRejected, errUnknownKey}},
		"a kid twice, the second one is meant": {[]any{publicJWK(t, "rsa-2", jwkMembers{"kid": "k"}), publicJWK(t, "rsa-1", jwkMembers{"kid": "k"})}, "k", nil},
		"a kid twice, of two types":            {[]any{publicJWK(t, "p256-1", jwkMembers{"kid": "k"}), publicJWK(t, "rsa-1", jwkMembers{"kid": "k"})}, "k", nil},
		"a kid nine times":                     {append(sameKid(t, "k", 8), publicJWK(t, "rsa-1", jwkMembers{"kid": "k"})), "k", nil},
		"no kid":                               {[]any{"p256-1", "rsa-2", "rsa-1"}, "", nil},
		"no kid, and the key has none":         {[]any{publicJWK(t, "rsa-1", jwkMembers{"kid": nil})}, "", nil},
		"no kid, and the eighth key":           {append(append([]any{"p256-1"}, short...), "rsa-1"), "", nil},
		"no kid, and the ninth key":            {append(append([]any{"p256-1"}, many...), "rsa-1"), "", []error{identity.ErrRejected, errSignature}},
		"no kid, and no key of its type":       {[]any{"p256-1"}, "", []error{identity.ErrRejected, errUnknownKey}},
		"the key's own algorithm":              {[]any{publicJWK(t, "rsa-1", jwkMembers{"alg": "RS256"})}, "rsa-1", nil},
		"another algorithm of the key's type":  {[]any{publicJWK(t, "rsa-1", jwkMembers{"alg": "PS256"})}, "rsa-1", []error{identity.ErrRejected, errSignature}},
		"the same without a kid":               {[]any{publicJWK(t, "rsa-1", jwkMembers{"alg": "RS512"})}, "", []error{identity.ErrRejected, errUnknownKey}},
		"for signatures, says use":             {[]any{publicJWK(t, "rsa-1", jwkMembers{"use": "sig"})}, "rsa-1", nil},
		"for signatures, says key_ops":         {[]any{publicJWK(t, "rsa-1", jwkMembers{"key_ops": []string{"sign", "verify"}})}, "rsa-1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			token, header := signedBy(t, "rsa-1", "RS256", test.kid)
			payload, err := mustParseKeySet(t, test.keys...).verify(token, header)
			wantKeyError(t, token, payload, err, test.want...)
		})
	}
}

func sameKid(tb testing.TB, kid string, n int) []any {
	tb.Helper()
	keys := make([]any, n)
	for i := range keys {
		keys[i] = publicJWK(tb, "rsa-2", jwkMembers{"kid": kid})
	}
	return keys
}

// Other keys cannot help a token that is broken itself, so it must not cause a fetch: the
// error wraps neither errUnknownKey nor errSignature.
func TestTokensThatNoKeyCanSave(t *testing.T) {
	good, header := signedBy(t, "rsa-1", "RS256", "rsa-1")
	parts := strings.Split(good, ".")
	kid := Header{Algorithm: "RS256", KeyID: "rsa-1"}
	for name, test := range map[string]struct {
		token  string
		header Header
	}{
		"nothing":                         {"", header},
		"two parts":                       {parts[0] + "." + parts[1], header},
		"four parts":                      {good + ".", header},
		"five parts, as a JWE":            {good + "..", header},
		"JSON serialization":              {fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), header},
		"JSON in blanks":                  {fmt.Sprintf(` {"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), header},
		"a blank before it":               {" " + good, header},
		"alg none":                        {signedAs(t, "rsa-1", "RS256", `{"alg":"none","kid":"rsa-1"}`), Header{"none", "rsa-1"}},
		"alg none, read as RS256":         {signedAs(t, "rsa-1", "RS256", `{"alg":"none","kid":"rsa-1"}`), kid},
		"HS256":                           {signedAs(t, "rsa-1", "RS256", `{"alg":"HS256","kid":"rsa-1"}`), Header{"HS256", "rsa-1"}},
		"no alg":                          {signedAs(t, "rsa-1", "RS256", `{"kid":"rsa-1"}`), Header{"", "rsa-1"}},
		"PS256, read as RS256":            {signedAs(t, "rsa-1", "PS256", `{"alg":"PS256","kid":"rsa-1"}`), kid},
		"alg twice":                       {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","alg":"RS256","kid":"rsa-1"}`), kid},
		"kid twice":                       {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"x","kid":"rsa-1"}`), kid},
		"another kid than was read":       {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-2"}`), kid},
		"a kid that was not read":         {good, Header{Algorithm: "RS256"}},
		"a kid that is a number":          {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":1}`), Header{Algorithm: "RS256"}},
		"an unknown critical extension":   {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1","crit":["exp"],"exp":1}`), kid},
		"an empty list of crit":           {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1","crit":[]}`), kid},
		"crit beside a list":              {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1","crit":"b64"}`), kid},
		"b64 true, which is the default":  {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1","crit":["b64"],"b64":true}`), kid},
		"b64 without crit":                {unencoded(t, `{"alg":"RS256","kid":"rsa-1","b64":false}`), kid},
		"b64 with crit":                   {unencoded(t, `{"alg":"RS256","kid":"rsa-1","crit":["b64"],"b64":false}`), kid},
		"a private key in the header":     {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1","jwk":{"kty":"oct","k":"AAAA"}}`), kid},
		"a header that is not an object":  {signedAs(t, "rsa-1", "RS256", `["RS256"]`), kid},
		"a header that is not base64":     {"é." + parts[1] + "." + parts[2], kid},
		"a header nested beyond measure":  {signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`}`), kid},
		"64 KiB of zeros":                 {string(make([]byte, 1<<16)), kid},
		"a signature that is not base64":  {parts[0] + "." + parts[1] + ".é", kid},
		"a payload that is not base64url": {parts[0] + ".+/+/." + parts[2], kid},
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := mustParseKeySet(t, "rsa-1").verify(test.token, test.header)
			wantKeyError(t, test.token, payload, err, identity.ErrRejected)
			if errors.Is(err, errUnknownKey) || errors.Is(err, errSignature) {
				t.Errorf("keys are to be fetched: %v", err)
			}
		})
	}
}

// unencoded returns a token whose payload is signed unencoded (RFC 7797). jose verifies it.
func unencoded(tb testing.TB, header string) string {
	tb.Helper()
	protected := base64.RawURLEncoding.EncodeToString([]byte(header))
	signature := signatureOf(tb, "rsa-1", "RS256", protected+"."+keyPayload)
	token := protected + "." + base64.RawURLEncoding.EncodeToString([]byte(keyPayload)) + "." + base64.RawURLEncoding.EncodeToString(signature)
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := signed.Verify(keyPair(tb, "rsa-1").Public()); err != nil {
		tb.Fatalf("jose refuses it now, so this package need not: %v", err)
	}
	return token
}

// A changed or shortened signature must not verify, nor a changed payload.
func TestBadSignatures(t *testing.T) {
	set := mustParseKeySet(t, "rsa-1", "p256-1", "ed25519-1")
	for name, algorithm := range map[string]string{"rsa-1": "RS256", "p256-1": "ES256", "ed25519-1": "EdDSA"} {
		good, header := signedBy(t, name, algorithm, name)
		parts := strings.Split(good, ".")
		zeros := base64.RawURLEncoding.EncodeToString(make([]byte, base64.RawURLEncoding.DecodedLen(len(parts[2]))))
		other := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`))
		for what, token := range map[string]string{
			"no signature":    parts[0] + "." + parts[1] + ".",
			"zeros":           parts[0] + "." + parts[1] + "." + zeros, // CVE-2022-21449
			"a cut signature": good[:len(good)-4],
			"a longer one":    good + "AAAA",
			"no payload":      parts[0] + ".." + parts[2], // as a detached one (RFC 7515, appendix F)
			"another payload": parts[0] + "." + other + "." + parts[2],
		} {
			payload, err := set.verify(token, header)
			wantKeyError(t, token, payload, err, identity.ErrRejected, errSignature)
			if t.Failed() {
				t.Fatal(name, what)
			}
		}
	}
}

// A token signed by the key that it contains must not be believed (CVE-2026-27962).
func TestKeysInTheTokenAreNotBelieved(t *testing.T) {
	set := mustParseKeySet(t, "rsa-1")
	jwk, err := json.Marshal(publicJWK(t, "rsa-2", jwkMembers{"kid": "rsa-1"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, brought := range []string{
		`"jwk":` + string(jwk),
		`"jku":"https://evil.example/keys"`,
		`"x5u":"https://evil.example/cert"`,
		`"x5t":"AAAA"`,
	} {
		token := signedAs(t, "rsa-2", "RS256", `{"alg":"RS256","kid":"rsa-1",`+brought+`}`)
		payload, err := set.verify(token, Header{"RS256", "rsa-1"})
		wantKeyError(t, token, payload, err, identity.ErrRejected, errSignature)

		token = signedAs(t, "rsa-1", "RS256", `{"alg":"RS256","kid":"rsa-1",`+brought+`}`)
		payload, err = set.verify(token, Header{"RS256", "rsa-1"})
		wantKeyError(t, token, payload, err)
	}
}
