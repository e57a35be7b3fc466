// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testserver"
)

// Issuer is an OpenID Connect issuer: a discovery document, a key set, and tokens.
type Issuer struct {
	*testserver.Server

	URL string
	CA  *testpki.Pair // nil: plain http

	// OnToken, if not nil, is called with each token that is made.
	OnToken func(tb testing.TB, token string)

	// how often each document was asked for
	Discoveries, Fetches atomic.Int64

	mu              sync.Mutex
	published       []*Key
	discovery, jwks http.HandlerFunc // instead of the usual answer, if not nil
}

// New starts an issuer behind TLS, with an RSA key "rsa" and an EC key "ec".
func New(tb testing.TB) *Issuer {
	tb.Helper()
	return NewBy(tb, testpki.NewCA(tb, nil, "issuer ca", testpki.AnyTime))
}

// NewBy is New with a certificate by ca; nil: over plain http.
func NewBy(tb testing.TB, ca *testpki.Pair) *Issuer {
	tb.Helper()
	i := &Issuer{CA: ca, published: []*Key{RSA("rsa", 0), EC(tb, "ec")}}
	i.Server = testserver.New(tb, ca, http.HandlerFunc(i.serve))
	i.URL = i.Scheme() + "://" + i.Addr
	return i
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	discovery, jwks, published := i.discovery, i.jwks, i.published
	i.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.Discoveries.Add(1)
		if discovery != nil {
			discovery(w, r)
			return
		}
		i.Document(w, i.URL, i.URL+"/keys")
	case "/keys":
		i.Fetches.Add(1)
		if jwks != nil {
			jwks(w, r)
			return
		}
		_, _ = w.Write(KeySet(published...))
	default:
		http.NotFound(w, r)
	}
}

// Document writes a discovery document.
func (*Issuer) Document(w http.ResponseWriter, issuer, keys string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": keys, "id_token_signing_alg_values_supported": []string{"RS256"}})
}

// Answers replaces the usual answers; nil restores the usual one.
func (i *Issuer) Answers(discovery, jwks http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery, i.jwks = discovery, jwks
}

// Publish replaces the key set.
func (i *Issuer) Publish(keys ...*Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = keys
}

// Key is the n-th published key.
func (i *Issuer) Key(n int) *Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.published[n]
}

// Claims are those of a good token for alice with changes: nil removes a claim.
func (i *Issuer) Claims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "sub": "alice", "aud": "dash", "groups": []string{"dev", "ops"},
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": strings.ToLower(rand.Text()),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// Token is a token for alice with changes, signed with the first key.
func (i *Issuer) Token(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	return i.TokenBy(tb, i.Key(0), changes)
}

// TokenBy is Token signed with any key.
func (i *Issuer) TokenBy(tb testing.TB, key *Key, changes map[string]any) string {
	tb.Helper()
	token := key.Sign(map[string]any{"alg": key.Alg, "kid": key.ID, "typ": "JWT"}, i.Claims(changes))
	if i.OnToken != nil {
		i.OnToken(tb, token)
	}
	return token
}
