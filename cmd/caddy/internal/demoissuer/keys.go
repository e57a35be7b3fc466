// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// signingKey signs ID tokens with RS256, the algorithm that every client knows.
type signingKey struct {
	public jose.JSONWebKey
	signer jose.Signer
}

func newSigningKey() (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.RS256), Use: "sig"}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}},
		new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	return &signingKey{public, signer}, nil
}

func (k *signingKey) sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// verify reads the claims of a token that this key has signed, expired or not.
func (k *signingKey) verify(token string, claims any) bool {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return false
	}
	payload, err := signed.Verify(k.public)
	return err == nil && json.Unmarshal(payload, claims) == nil
}

func (h *Handler) serveKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{h.state.keys.public}})
}

// serveDiscovery answers as in OpenID Connect Discovery 1.0, section 3, without the endpoint
// userinfo, which is optional.
func (h *Handler) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	method := "none"
	if h.secret != "" {
		method = "client_secret_basic"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         h.URL,
		"jwks_uri":                                       h.URL + keysPath,
		"authorization_endpoint":                         h.URL + authorizationPath,
		"token_endpoint":                                 h.URL + tokenPath,
		"revocation_endpoint":                            h.URL + revocationPath,
		"end_session_endpoint":                           h.URL + logoutPath,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"prompt_values_supported":                        []string{"none", "login", "select_account"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{method},
		"revocation_endpoint_auth_methods_supported":     []string{method},
		"id_token_signing_alg_values_supported":          []string{string(jose.RS256)},
		"subject_types_supported":                        []string{"public"},
		"scopes_supported":                               []string{"openid", "profile", "email", "groups", "offline_access"},
		"claims_supported":                               []string{"sub", "email", "email_verified", "name", "preferred_username", "groups", "sid", "auth_time"},
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"authorization_response_iss_parameter_supported": true,
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
