// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// benchClaims are those of an ID token of about 1.2 kB with five groups.
func benchClaims() string {
	return claims(members{
		"groups": []string{"developers", "operators", "team-dashboards", "team-platform", "on-call-europe"},
		"sub":    "7c4f2b0e-2a53-4f0e-9d0c-5a86a4a1c0de", "name": "Alice Example", "preferred_username": "alice",
		"given_name": "Alice", "family_name": "Example", "email": "alice@example.com", "email_verified": true,
		"auth_time": time.Now().Unix(), "azp": clientID, "acr": "1", "typ": "ID", "at_hash": "p3yHkA0sVbqv1nJzqVq0Zg",
		"sid": "0d2c7a2c-0b0b-4a3d-8a1b-1a7d7c1f9b7e", "jti": "5f1c6f6e-0f5a-4b2e-9a59-3f6f2c0a8f11",
		"nonce": "b1946ac92492d2347c6235b4d2611184",
	})
}

// BenchmarkCold measures a token that is not in the cache, beside go-oidc alone with its own
// RemoteKeySet, which has fetched the same key. x-claims is the ratio to go-oidc when it also
// decodes the claims into a map, as a caller of it has to, and fails above the limit; x-verify
// is the ratio when it does not. CONTRIBUTING.md has the command.
func BenchmarkCold(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		algorithm jose.SignatureAlgorithm
		key       crypto.Signer
		limit     float64
	}{{jose.RS256, rsaKey, 1.6}, {jose.ES256, newMint(b).key, 1.45}} {
		token := joseToken(b, test.algorithm, test.key, benchClaims())
		own, remote := verifiers(b, test.algorithm, test.key.Public())
		steps := []func() error{
			func() error {
				_, err := own.Authenticate(b.Context(), new(identity.Request), token)
				return err
			},
			func() error {
				verified, err := remote.Verify(b.Context(), token)
				if err != nil {
					return err
				}
				var claims map[string]any
				return verified.Claims(&claims)
			},
			func() error {
				_, err := remote.Verify(b.Context(), token)
				return err
			},
		}
		for i, name := range []string{"own", "go-oidc"} {
			b.Run(string(test.algorithm)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := steps[i](); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(string(test.algorithm)+"/ratio", func(b *testing.B) {
			ratios := sideBySide(b, steps...)
			b.ReportMetric(ratios[0], "x-claims")
			b.ReportMetric(ratios[1], "x-verify")
			if b.N >= 1000 && ratios[0] > test.limit {
				b.Errorf("%.2f times go-oidc, want at most %.2f", ratios[0], test.limit)
			}
		})
	}
}

// verifiers returns this package's verifier and go-oidc's, both with one key.
func verifiers(b *testing.B, algorithm jose.SignatureAlgorithm, key crypto.PublicKey) (own *Authenticator, remote *goidc.IDTokenVerifier) {
	b.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key, KeyID: "k1", Algorithm: string(algorithm), Use: "sig"},
	}})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		b.Fatal(err)
	}
	keys, err := NewFileKeys(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	b.Cleanup(server.Close)
	config := &goidc.Config{ClientID: clientID, SupportedSigningAlgs: []string{string(algorithm)}}
	remote = goidc.NewVerifier(issuerURL, goidc.NewRemoteKeySet(b.Context(), server.URL), config)
	own = newAuthenticator(b, newIssuer(keys))
	own.Cache = tokencache.New(tokencache.Config{TTL: time.Nanosecond}) // each token is verified again
	b.Cleanup(own.Cache.Close)
	return own, remote
}

// sideBySide runs the steps in turn, so that all run under the same load, and returns the
// ratios of the first one's time to those of the others. The time is the lower quartile,
// since longer ones include interruptions.
func sideBySide(b *testing.B, steps ...func() error) []float64 {
	b.Helper()
	times := make([][]time.Duration, len(steps))
	turn := 0
	for b.Loop() {
		turn++ // no step is always the first
		for n := range steps {
			i := (turn + n) % len(steps)
			start := time.Now()
			err := steps[i]()
			times[i] = append(times[i], time.Since(start))
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	quartiles := make([]float64, len(steps))
	for i := range times {
		slices.Sort(times[i])
		quartiles[i] = float64(times[i][len(times[i])/4])
	}
	ratios := make([]float64, 0, len(steps)-1)
	for _, quartile := range quartiles[1:] {
		ratios = append(ratios, quartiles[0]/quartile)
	}
	return ratios
}

// BenchmarkHit measures a token whose verdict is cached: x-hmac is the ratio to the bare
// hash of the same token, and should be at most 3.
func BenchmarkHit(b *testing.B) {
	m := newMint(b)
	a := newAuthenticator(b, newIssuer(m.keys()))
	a.Cache = tokencache.New(tokencache.Config{TTL: time.Hour})
	b.Cleanup(a.Cache.Close)
	token := m.token(b, benchClaims())
	mac := hmac.New(sha256.New, []byte(strings.Repeat("k", 32)))
	text, sum := []byte(token), make([]byte, 0, sha256.Size)
	b.ReportAllocs()
	ratios := sideBySide(b,
		func() error {
			_, err := a.Authenticate(b.Context(), new(identity.Request), token)
			return err
		},
		func() error {
			mac.Reset()
			mac.Write(text)
			sum = mac.Sum(sum[:0])
			return nil
		})
	b.ReportMetric(ratios[0], "x-hmac")
}
