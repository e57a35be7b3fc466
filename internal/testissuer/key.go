// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"sync"
	"testing"
)

// Key is one key of an issuer.
type Key struct {
	ID, Alg string
	Private crypto.Signer
}

//nolint:gochecknoglobals // making an RSA key takes long
var rsaKeys = [2]func() *rsa.PrivateKey{sync.OnceValue(newRSA), sync.OnceValue(newRSA)}

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// RSA is one of the two RSA keys of a test binary, n being 0 or 1.
func RSA(id string, n int) *Key { return &Key{id, "RS256", rsaKeys[n]()} }

// EC makes a P-256 key.
func EC(tb testing.TB, id string) *Key {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &Key{id, "ES256", key}
}

// Base64 is the encoding of JOSE: base64url without padding.
func Base64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// Segment is a part of a token: a value as JSON in base64url.
func Segment(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return Base64(encoded)
}

// Sign makes a compact JWS (RFC 7515, section 7.1).
func (k *Key) Sign(header, claims map[string]any) string {
	return k.SignInput(Segment(header) + "." + Segment(claims))
}

// SignInput signs the text before the signature exactly as given.
func (k *Key) SignInput(input string) string {
	digest := sha256.Sum256([]byte(input))
	switch key := k.Private.(type) {
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return input + "." + Base64(signature)
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		return input + "." + Base64(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
	default:
		panic("a key of another kind")
	}
}

// JWK is the public key (RFC 7517, RFC 7518 section 6).
func (k *Key) JWK() map[string]any {
	jwk := map[string]any{"kid": k.ID, "alg": k.Alg, "use": "sig"}
	switch key := k.Private.(type) {
	case *rsa.PrivateKey:
		jwk["kty"], jwk["n"] = "RSA", Base64(key.N.Bytes())
		jwk["e"] = Base64(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PrivateKey:
		public, err := key.PublicKey.ECDH()
		if err != nil {
			panic(err)
		}
		point := public.Bytes() // 4, x and y
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", Base64(point[1:33]), Base64(point[33:])
	}
	return jwk
}

// KeySet is a JWK Set (RFC 7517, section 5).
func KeySet(keys ...*Key) []byte {
	set := make([]map[string]any, len(keys))
	for i, key := range keys {
		set[i] = key.JWK()
	}
	encoded, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		panic(err)
	}
	return encoded
}
