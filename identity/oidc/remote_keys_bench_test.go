// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// BenchmarkRemoteKeys verifies with keys that are there; jose is the cost of verifying with
// the right key alone.
func BenchmarkRemoteKeys(b *testing.B) {
	for name, algorithm := range map[string]string{"rsa-1": "RS256", "p256-1": "ES256", "ed25519-1": "EdDSA"} {
		token, header := signedBy(b, name, algorithm, name)
		b.Run(algorithm+"/jose", func(b *testing.B) {
			b.ReportAllocs()
			key := keyPair(b, name).Public()
			for b.Loop() {
				signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := signed.Verify(key); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, count := range []int{1, 10} {
			b.Run(fmt.Sprintf("%s/%d_keys", algorithm, count), func(b *testing.B) {
				b.ReportAllocs()
				list := []any{name}
				for i := range count - 1 {
					list = append(list, publicJWK(b, name[:len(name)-1]+"2", jwkMembers{"kid": fmt.Sprint(i)}))
				}
				keys := newFakeIssuer(b, list...).remoteKeys(b, nil)
				for b.Loop() {
					if _, err := keys.VerifySignature(b.Context(), token, header); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// An invented token must not cost much more than a good one.
func BenchmarkRemoteKeysRefuse(b *testing.B) {
	for name, kid := range map[string]string{"unknown_kid": "x", "bad_signature": "rsa-1", "no_kid": ""} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			keys := newFakeIssuer(b, append(sameKid(b, "k", maxTried), "rsa-1")...).remoteKeys(b, nil)
			token, header := signedBy(b, "rsa-3", "RS256", kid)
			for b.Loop() {
				if _, err := keys.VerifySignature(b.Context(), token, header); err == nil {
					b.Fatal("it is good")
				}
			}
		})
	}
}

func BenchmarkGeneration(b *testing.B) {
	keys := newFakeIssuer(b, "ed25519-1").remoteKeys(b, nil)
	wantToken(b, keys, "ed25519-1")
	b.ReportAllocs()
	for b.Loop() {
		if keys.Generation() == 0 {
			b.Fatal("no keys")
		}
	}
}

func BenchmarkParseKeySet(b *testing.B) {
	content := jwks(b, "rsa-1", "rsa-2", "p256-1", publicJWK(b, "rsa-3", jwkMembers{"use": "enc"}))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseKeySet(content); err != nil {
			b.Fatal(err)
		}
	}
}
