// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// isClient checks the client's authentication, in its one registered way.
func (l *Login) isClient(r *http.Request) bool {
	client, form := &l.config.Client, r.PostForm
	id, secret, hasBasic := r.BasicAuth()
	isBasic := client.Method == "client_secret_basic"
	if hasBasic != isBasic || isBasic && (form.Has("client_id") || form.Has("client_secret")) {
		return false
	}
	if form.Has("client_assertion") != (client.Method == "private_key_jwt") || form.Has("client_secret") != (client.Method == "client_secret_post") {
		return false
	}
	switch client.Method {
	case "client_secret_basic": // encoded as in RFC 6749, section 2.3.1
		decodedID, err := url.QueryUnescape(id)
		decoded, secretErr := url.QueryUnescape(secret)
		return err == nil && secretErr == nil && decodedID == client.ID && decoded == client.Secret
	case "client_secret_post":
		return form.Get("client_id") == client.ID && form.Get("client_secret") == client.Secret
	case "private_key_jwt":
		return form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && l.isAssertion(form.Get("client_assertion"))
	case "none":
		return form.Get("client_id") == client.ID
	}
	return false
}

// isAssertion checks an assertion of the client (RFC 7523, section 3), whose jti is not seen
// again.
func (l *Login) isAssertion(assertion string) bool {
	client := &l.config.Client
	input, signature := cutLast(assertion)
	_, encoded, _ := strings.Cut(input, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || client.Key == nil || !client.Key.verifies(input, signature) {
		return false
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Expires  int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.ID == "" || l.grants["jti "+claims.ID] != nil {
		return false
	}
	l.grants["jti "+claims.ID] = &grant{revoked: true}
	left := time.Until(time.Unix(claims.Expires, 0))
	return claims.Issuer == client.ID && claims.Subject == client.ID && claims.Audience == client.Audience && left > 0 && left <= 5*time.Minute
}

func cutLast(token string) (input, signature string) {
	dot := max(strings.LastIndexByte(token, '.'), 0)
	return token[:dot], strings.TrimPrefix(token[dot:], ".")
}

// verifies says whether the key has signed the text, with RS256 or ES256.
func (k *Key) verifies(input, signature string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(input))
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], raw) == nil
	case *ecdsa.PublicKey:
		return len(raw) == 64 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]))
	}
	return false
}
