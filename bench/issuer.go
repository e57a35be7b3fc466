// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const (
	issuerURL = "https://login.example.com/realms/staff"
	audience  = "kubernetes"
)

// issuer makes tokens as an OpenID Connect issuer does.
type issuer struct {
	key *testissuer.Key
}

func newIssuer() *issuer { return &issuer{testissuer.RSA("bench", 0)} }

// keySet is the issuer's JWK Set.
func (i *issuer) keySet() []byte { return testissuer.KeySet(i.key) }

// lifetime is that of tokens and certificates: longer than any measurement takes.
const lifetime = 12 * time.Hour

// fiveGroups are the groups of a token of about 1.2 kB.
func fiveGroups() []string {
	return []string{"developers", "on-call", "cluster-viewers", "platform-engineering", "everybody"}
}

// token makes a token, RS256.
func (i *issuer) token(user string, groups ...string) string {
	now := time.Now().Unix()
	return i.key.Sign(map[string]any{"alg": "RS256", "kid": "bench", "typ": "JWT"}, map[string]any{
		"iss": issuerURL, "aud": audience, "azp": audience, "sub": user,
		"iat": now, "nbf": now, "auth_time": now, "exp": now + int64(lifetime/time.Second),
		"email": user + "@example.com", "email_verified": true,
		"name": strings.ToUpper(user[:1]) + user[1:] + " Example", "preferred_username": user,
		"groups":  groups,
		"jti":     "5e1cf0f3-9c52-4b1c-a3c6-6d1f0a5f0b7e",
		"sid":     "1f6cb1f5-8d6c-44a5-9a3a-0d5f2f3c8a10",
		"at_hash": "Zk3vJ0m0o8o1v7f2V2yq9A",
		"scope":   "openid email profile groups offline_access",
		"acr":     "1", "typ": "ID", "session_state": "1f6cb1f5-8d6c-44a5-9a3a-0d5f2f3c8a10",
	})
}

// forger makes bad tokens, each a different one.
type forger struct {
	before, after string // of the number in the signature
}

// newForger takes a good token. The forged signatures are numbers below the modulus, so each
// costs a full verification.
func newForger(token string) *forger {
	end := strings.LastIndexByte(token, '.') + 1
	return &forger{token[:end] + "AA", strings.Repeat("A", len(token)-end-2-16)}
}

// jwt is a JWT of the issuer with another signature.
func (f *forger) jwt(n int64) string { return fmt.Sprintf("%s%016d%s", f.before, n, f.after) }

// opaque is a token that only the API server could know.
func (*forger) opaque(n int64) string { return fmt.Sprintf("opaque-%016d-kqzR7yDp1hV0s3Wm", n) }
