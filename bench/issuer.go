// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	issuerURL = "https://login.example.com/realms/staff"
	audience  = "kubernetes"
)

// issuer makes tokens as an OpenID Connect issuer does.
type issuer struct {
	key *rsa.PrivateKey
}

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &issuer{key}, nil
}

// keySet is the issuer's JWK Set.
func (i *issuer) keySet() ([]byte, error) {
	exponent := big.NewInt(int64(i.key.E)).Bytes()
	return json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "bench",
		"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(exponent),
	}}})
}

// token makes one of about 1.2 kB, RS256, with five groups, for an hour.
func (i *issuer) token(user string) (string, error) {
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": issuerURL, "aud": audience, "azp": audience, "sub": user,
		"iat": now, "nbf": now, "auth_time": now, "exp": now + 3600,
		"email": user + "@example.com", "email_verified": true,
		"name": strings.ToUpper(user[:1]) + user[1:] + " Example", "preferred_username": user,
		"groups":  []string{"developers", "on-call", "cluster-viewers", "platform-engineering", "everybody"},
		"jti":     "5e1cf0f3-9c52-4b1c-a3c6-6d1f0a5f0b7e",
		"sid":     "1f6cb1f5-8d6c-44a5-9a3a-0d5f2f3c8a10",
		"at_hash": "Zk3vJ0m0o8o1v7f2V2yq9A",
		"scope":   "openid email profile groups offline_access",
		"acr":     "1", "typ": "ID", "session_state": "1f6cb1f5-8d6c-44a5-9a3a-0d5f2f3c8a10",
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"bench","typ":"JWT"}`)) +
		"." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// forger makes bad tokens, each another one.
type forger struct {
	before, after string // of the number in the signature
}

// newForger takes a good token. The signatures are numbers below the modulus, so that
// each costs a full verification.
func newForger(token string) *forger {
	end := strings.LastIndexByte(token, '.') + 1
	return &forger{token[:end] + "AA", strings.Repeat("A", len(token)-end-2-16)}
}

// jwt is a JWT of the issuer's, but for its signature.
func (f *forger) jwt(n int64) string { return fmt.Sprintf("%s%016d%s", f.before, n, f.after) }

// opaque is a token of which only the API server could know whose it is.
func (*forger) opaque(n int64) string { return fmt.Sprintf("opaque-%016d-kqzR7yDp1hV0s3Wm", n) }
