// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func base64Int(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// A key that cannot be used does not affect the others, for whatever reason.
func TestBadKeysArePassedOver(t *testing.T) {
	modulus := keyPair(t, "rsa-2").Public().(*rsa.PublicKey).N
	even := new(big.Int).Lsh(new(big.Int).Rsh(modulus, 1), 1)
	twins := publicJWK(t, "rsa-2")
	for name, test := range map[string]struct {
		key  any
		want string // in the log; "" if nothing is logged
	}{
		"for encryption":                     {publicJWK(t, "rsa-2", jwkMembers{"use": "enc", "alg": "RSA-OAEP"}), ""},
		"for SIG":                            {publicJWK(t, "rsa-2", jwkMembers{"use": "SIG"}), ""},
		"for nothing":                        {publicJWK(t, "rsa-2", jwkMembers{"use": ""}), ""},
		"for two uses":                       {publicJWK(t, "rsa-2", jwkMembers{"use": []string{"sig"}}), ""},
		"for signing only":                   {publicJWK(t, "rsa-2", jwkMembers{"key_ops": []string{"sign"}}), ""},
		"for no operation":                   {publicJWK(t, "rsa-2", jwkMembers{"key_ops": []string{}}), ""},
		"for an operation beside a list":     {publicJWK(t, "rsa-2", jwkMembers{"key_ops": "verify"}), ""},
		"with an algorithm of encryption":    {publicJWK(t, "rsa-2", jwkMembers{"alg": "RSA-OAEP"}), `key 1: "rsa-2": a key of its type cannot verify its algorithm "RSA-OAEP"`},
		"with an algorithm of another type":  {publicJWK(t, "rsa-2", jwkMembers{"alg": "ES256"}), "its algorithm"},
		"with an algorithm of another curve": {publicJWK(t, "p256-2", jwkMembers{"alg": "ES384"}), "its algorithm"},
		"with a symmetric algorithm":         {publicJWK(t, "rsa-2", jwkMembers{"alg": "HS256"}), "its algorithm"},
		"with an empty algorithm":            {publicJWK(t, "rsa-2", jwkMembers{"alg": ""}), "its algorithm"},
		"with an algorithm of 64 KiB":        {publicJWK(t, "rsa-2", jwkMembers{"alg": strings.Repeat("x", 1<<16)}), "its algorithm"},
		"symmetric":                          {jwkMembers{"kty": "oct", "k": "AAAA", "kid": "rsa-1"}, "private or symmetric"},
		"symmetric without a secret":         {jwkMembers{"kty": "oct"}, "invalid"},
		"symmetric beside a public one":      {publicJWK(t, "rsa-2", jwkMembers{"k": "AAAA"}), "private or symmetric"},
		"a private RSA key":                  {membersOf(t, jose.JSONWebKey{Key: keyPair(t, "rsa-2")}), "private or symmetric"},
		"a private EC key":                   {membersOf(t, jose.JSONWebKey{Key: keyPair(t, "p256-2")}), "private or symmetric"},
		"a private Ed25519 key":              {membersOf(t, jose.JSONWebKey{Key: keyPair(t, "ed25519-2")}), "private or symmetric"},
		"a part of a private RSA key":        {publicJWK(t, "rsa-2", jwkMembers{"p": "AAAA"}), "private or symmetric"},
		"an RSA key of 1024 bits":            {publicJWK(t, "rsa1024-1"), "1024 bits"},
		"1024 bits and leading zeros":        {publicJWK(t, "rsa1024-1", jwkMembers{"n": base64.RawURLEncoding.EncodeToString(append(make([]byte, 200), keyPair(t, "rsa1024-1").Public().(*rsa.PublicKey).N.Bytes()...))}), "1024 bits"},
		"an RSA key of 8192 bits":            {publicJWK(t, "rsa-2", jwkMembers{"n": base64Int(new(big.Int).Lsh(modulus, 6144))}), "not supported"},
		"an even modulus":                    {publicJWK(t, "rsa-2", jwkMembers{"n": base64Int(even)}), "not a valid RSA key"},
		"an even exponent":                   {publicJWK(t, "rsa-2", jwkMembers{"e": base64Int(big.NewInt(65536))}), "not a valid RSA key"},
		"the exponent 1":                     {publicJWK(t, "rsa-2", jwkMembers{"e": base64Int(big.NewInt(1))}), "invalid"},
		"an exponent of 33 bits":             {publicJWK(t, "rsa-2", jwkMembers{"e": base64Int(big.NewInt(1<<32 + 1))}), "not a valid RSA key"},
		"no modulus":                         {publicJWK(t, "rsa-2", jwkMembers{"n": nil}), "invalid"},
		"a point off the curve":              {publicJWK(t, "p256-2", jwkMembers{"y": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), "invalid"},
		"an unknown curve":                   {publicJWK(t, "p256-2", jwkMembers{"crv": "secp256k1"}), "not supported"},
		"an Ed25519 key of small order":      {jwkMembers{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))}, "invalid"},
		"a short Ed25519 key":                {jwkMembers{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, "invalid"},
		"a key for key agreement":            {jwkMembers{"kty": "OKP", "crv": "X25519", "x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}, "not supported"},
		"a type that is newer":               {jwkMembers{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, "not supported"},
		"no type":                            {jwkMembers{"kid": "rsa-1"}, "invalid"},
		"a kid that is a number":             {publicJWK(t, "rsa-2", jwkMembers{"kid": 1}), "invalid"},
		"a number":                           {5, "not a JSON object"},
		"a list":                             {[]any{twins}, "not a JSON object"},
		"null":                               {nil, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := parseKeySet(jwks(t, test.key, "rsa-1"))
			if err != nil || len(set.keys) != 1 || set.keys[0].id != "rsa-1" || len(set.byID) != 1 {
				t.Fatalf("%+v, %v", set, err)
			}
			switch {
			case (skipped == nil) != (test.want == ""):
				t.Errorf("skipped: %v, want %q", skipped, test.want)
			case skipped != nil && (!strings.HasPrefix(skipped.Error(), "key 1: ") || !strings.Contains(skipped.Error(), test.want) || len(skipped.Error()) > 256):
				t.Errorf("skipped: %v, want %q", skipped, test.want)
			}
			set, skipped, err = parseKeySet(jwks(t, test.key))
			if err != nil || len(set.keys) != 0 || skipped == nil || !strings.HasPrefix(skipped.Error(), "none of the 1 keys ") || !strings.Contains(skipped.Error(), test.want) {
				t.Errorf("alone: %v, %v, %v", set, skipped, err)
			}
		})
	}
}

// Other members of a key are ignored: certificates, which may not even parse, and members
// that are null.
func TestOtherMembersOfAKeyAreIgnored(t *testing.T) {
	for name, beside := range map[string]jwkMembers{
		"a certificate of another key":   {"x5c": []string{certificateOf(t, "rsa-2")}},
		"a certificate that is not one":  {"x5c": []string{"AAAA"}},
		"a thumbprint of something else": {"x5t": "AAAA", "x5t#S256": "AAAA"},
		"a url that is not one":          {"x5u": "\x00"},
		"a name that is not registered":  {"exp": 5, "issuer": "https://idp.example"},
		"an object with a secret in it":  {"other": map[string]any{"d": []any{map[string]any{"k": 1}}}},
	} {
		if set, skipped, err := parseKeySet(jwks(t, publicJWK(t, "rsa-1", beside))); err != nil || skipped != nil || len(set.keys) != 1 {
			t.Errorf("%s: %v, %v", name, skipped, err)
		}
	}
	document := strings.Replace(string(jwks(t, "rsa-1")), `{"e"`, `{"d":null,"use":null,"alg":null,"key_ops": null ,"e"`, 1)
	if set, skipped, err := parseKeySet([]byte(document)); err != nil || skipped != nil || len(set.keys) != 1 || !strings.Contains(document, "null") {
		t.Errorf("%v, %v", skipped, err)
	}
}

func certificateOf(tb testing.TB, name string) string {
	tb.Helper()
	key := keyPair(tb, name)
	made := testpki.Sign(tb, nil, key, func(c *x509.Certificate) { *c = x509.Certificate{SerialNumber: big.NewInt(1)} })
	return base64.StdEncoding.EncodeToString(made.Cert.Raw)
}

func TestBadKeySets(t *testing.T) {
	good := string(jwks(t, "rsa-1"))
	list := good[len(`{"keys":`) : len(good)-1]
	one := list[1 : len(list)-1]
	for name, test := range map[string]struct{ document, want string }{
		"nothing":                    {"", "not a JSON object"},
		"HTML":                       {"<html>", "not a JSON object"},
		"null":                       {"null", "no list of keys"},
		"a list":                     {list, "not a JSON object"},
		"a single key":               {one, "no list of keys"},
		"an error of the issuer":     {`{"error":"server_error"}`, "no list of keys"},
		"keys that are null":         {`{"keys":null}`, "no list of keys"},
		"keys that are an object":    {`{"keys":{}}`, "not a JSON object"},
		"keys in another case":       {`{"Keys":` + list + `}`, "no list of keys"},
		"keys twice":                 {`{"keys":` + list + `,"keys":` + list + `}`, "twice"},
		"something after it":         {good + "x", "not a JSON object"},
		"a second document after it": {good + good, "not a JSON object"},
		"a cut one":                  {good[:len(good)-3], "not a JSON object"},
		"nested beyond measure":      {`{"x":` + strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19-100) + `}`, "not a JSON object"},
		"one byte too long":          {good + strings.Repeat(" ", maxKeySet+1-len(good)), "larger than 1048576 bytes"},
		"101 keys":                   {`{"keys":[` + strings.Repeat(one+",", 100) + one + `]}`, "101 keys, more than 100"},
		"101 elements, none a key":   {`{"keys":[` + strings.Repeat("0,", 100) + `0]}`, "101 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := parseKeySet([]byte(test.document))
			if err == nil || !strings.Contains(err.Error(), test.want) || set != nil || skipped != nil || len(err.Error()) > 400 {
				t.Errorf("%v, %v, %v", set, skipped, err)
			}
		})
	}
	for name, document := range map[string]string{
		"as long as may be": good + strings.Repeat(" ", maxKeySet-len(good)),
		"100 keys":          `{"keys":[` + strings.Repeat(one+",", 99) + one + `]}`,
		"more names":        `{"x":{"y":[]},"keys":` + list + `,"Keys":[]}`,
	} {
		if _, skipped, err := parseKeySet([]byte(document)); err != nil || skipped != nil {
			t.Errorf("%s: %v, %v", name, skipped, err)
		}
	}
}

// These documents are sets, whose issuer has no keys: that is not a failure.
func TestKeySetsWithoutAUsableKey(t *testing.T) {
	for name, test := range map[string]struct{ document, skipped string }{
		"no keys":                  {`{"keys":[]}`, "the list of keys is empty"},
		"no keys, and more":        {`{"keys":[ ],"next":"x"}`, "the list of keys is empty"},
		"only keys for encryption": {string(jwks(t, publicJWK(t, "rsa-1", jwkMembers{"use": "enc"}))), "none of the 1 keys is for signatures"},
		"only a symmetric key":     {`{"keys":[{"kty":"oct","k":"AAAA"}]}`, "none of the 1 keys can be used: key 1: it is a private or symmetric key"},
		"a key with a name twice":  {strings.Replace(string(jwks(t, "rsa-1")), `{"e"`, `{"kty":"RSA","e"`, 1), "or has a name twice"},
		"ten keys that cannot be":  {`{"keys":[0,0,0,0,0,0,0,0,0,0]}`, "; and 6 more"},
	} {
		set, skipped, err := parseKeySet([]byte(test.document))
		if err != nil || len(set.keys) != 0 || skipped == nil || !strings.Contains(skipped.Error(), test.skipped) || len(skipped.Error()) > 400 {
			t.Errorf("%s: %v, %v, %v", name, set, skipped, err)
		}
		if set.generation == 0 || set.generation == mustParseKeySet(t, "rsa-1").generation {
			t.Errorf("%s: the generation %d", name, set.generation)
		}
		for _, kid := range []string{"rsa-1", ""} {
			token, header := signedBy(t, "rsa-1", "RS256", kid)
			payload, err := set.verify(token, header)
			wantKeyError(t, token, payload, err, identity.ErrRejected, errUnknownKey)
		}
	}
}

// keyEqual is the method that all public keys have.
type keyEqual interface {
	Equal(other crypto.PublicKey) bool
}

func TestKeysAreThoseOfTheIssuer(t *testing.T) {
	for _, key := range mustParseKeySet(t, "rsa-1", "p256-1", "p384-1", "p521-1", "ed25519-1").keys {
		if !key.key.(keyEqual).Equal(keyPair(t, key.id).Public()) {
			t.Errorf("%s is another key", key.id)
		}
	}
}

// The generation changes with the usable keys, and with nothing else.
func TestGenerationOfKeySets(t *testing.T) {
	base := mustParseKeySet(t, "rsa-1", "p256-1").generation
	for name, keys := range map[string][]any{
		"another order":           {"p256-1", "rsa-1"},
		"a key twice":             {"rsa-1", "p256-1", "rsa-1"},
		"one for encryption":      {"rsa-1", "p256-1", publicJWK(t, "rsa-2", jwkMembers{"use": "enc"})},
		"other members beside it": {publicJWK(t, "rsa-1", jwkMembers{"use": "sig", "x5t": "AAAA"}), "p256-1"},
	} {
		if got := mustParseKeySet(t, keys...).generation; got != base {
			t.Errorf("%s: another generation", name)
		}
	}
	seen := map[uint64]string{base: "base", 0: "none"}
	for name, keys := range map[string][]any{
		"one more":                {"rsa-1", "p256-1", "ed25519-1"},
		"one less":                {"rsa-1"},
		"another one of the kid":  {publicJWK(t, "rsa-2", jwkMembers{"kid": "rsa-1"}), "p256-1"},
		"another kid":             {publicJWK(t, "rsa-1", jwkMembers{"kid": "rsa-3"}), "p256-1"},
		"an algorithm":            {publicJWK(t, "rsa-1", jwkMembers{"alg": "RS256"}), "p256-1"},
		"another algorithm":       {publicJWK(t, "rsa-1", jwkMembers{"alg": "RS384"}), "p256-1"},
		"the kids changed places": {publicJWK(t, "rsa-1", jwkMembers{"kid": "p256-1"}), publicJWK(t, "p256-1", jwkMembers{"kid": "rsa-1"})},
	} {
		generation := mustParseKeySet(t, keys...).generation
		if other, there := seen[generation]; there {
			t.Errorf("%s has the generation of %s", name, other)
		}
		seen[generation] = name
	}
}
