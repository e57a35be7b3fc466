// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// FuzzKeySet parses key sets without the recovery from panics: the results are public keys,
// each for algorithms of its type.
func FuzzKeySet(f *testing.F) {
	f.Add(jwks(f, "rsa-1", "p256-1", "p384-1", "p521-1", "ed25519-1"))
	f.Add(jwks(f, publicJWK(f, "rsa-1", jwkMembers{"use": "sig", "alg": "RS256", "key_ops": []string{"verify"}, "x5c": []string{"AAAA"}})))
	f.Add(jwks(f, jwkMembers{"kty": "oct", "k": "AAAA"}, publicJWK(f, "rsa1024-1"), nil, 5))
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":null}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, skipped, err := parseKeySet(content)
		if (err == nil) != (set != nil) || err != nil && skipped != nil {
			t.Fatalf("%v, %v, %v", set, skipped, err)
		}
		for _, err := range []error{err, skipped} {
			if err != nil && len(err.Error()) > 1024 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
		}
		if err != nil {
			return
		}
		if len(set.keys) == 0 && skipped == nil || len(set.keys) > maxKeys || set.generation == 0 {
			t.Errorf("%d keys, generation %d, %v", len(set.keys), set.generation, skipped)
		}
		indexed := 0
		for _, keys := range set.byID {
			indexed += len(keys)
		}
		if indexed != len(set.keys) {
			t.Errorf("%d keys, %d by kid", len(set.keys), indexed)
		}
		for _, key := range set.keys {
			fits := func(prefixes ...string) bool {
				return len(key.algorithms) > 0 && !slices.ContainsFunc(key.algorithms, func(algorithm string) bool {
					return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(algorithm, prefix) })
				})
			}
			switch public := key.key.(type) {
			case *rsa.PublicKey:
				if public.N.BitLen() < minRSA || !fits("RS", "PS") {
					t.Errorf("an RSA key of %d bits for %q", public.N.BitLen(), key.algorithms)
				}
			case *ecdsa.PublicKey:
				if !fits("ES") {
					t.Errorf("an EC key for %q", key.algorithms)
				}
			case ed25519.PublicKey:
				if !fits("EdDSA") {
					t.Errorf("an Ed25519 key for %q", key.algorithms)
				}
			default:
				t.Errorf("a %T", public)
			}
		}
	})
}

// FuzzVerifySignature changes tokens: one that still verifies has the payload that was signed.
func FuzzVerifySignature(f *testing.F) {
	set := mustParseKeySet(f, "rsa-1", "p256-1", "ed25519-1")
	for name, algorithm := range map[string]string{"rsa-1": "RS256", "p256-1": "ES256", "ed25519-1": "EdDSA"} {
		token, header := signedBy(f, name, algorithm, name)
		f.Add(token, header.Algorithm, header.KeyID)
		token, header = signedBy(f, name, algorithm, "")
		f.Add(token, header.Algorithm, header.KeyID)
	}
	f.Fuzz(func(t *testing.T, token, algorithm, kid string) {
		payload, err := set.verify(token, Header{Algorithm: algorithm, KeyID: kid})
		if err != nil {
			wantKeyError(t, "", payload, err, err)
			return
		}
		wantKeyError(t, token, payload, err)
	})
}

// FuzzDiscovery reads documents: an accepted one belongs to the issuer, and points to a URL
// that is allowed for keys.
func FuzzDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://idp.example","jwks_uri":"https://keys.example/a?b"}`))
	f.Add([]byte(`{"issuer":"https://idp.example","jwks_uri":"http://[::1]:8080/","x":[{}]}`))
	f.Add([]byte(`{"issuer":"https://idp.example","jwks_uri":"https://u:p@keys.example/#a"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if keys, err := parseDiscovery(content, keysIssuer, "https"); err == nil && keys.Scheme != "https" {
			t.Errorf("a document over https has keys at %s", keys)
		}
		keys, err := parseDiscovery(content, keysIssuer, "http")
		if (err == nil) != (keys != nil) || err != nil && len(err.Error()) > 512 {
			t.Fatalf("%v, %v", keys, err)
		}
		if err != nil {
			return
		}
		if !strings.Contains(string(content), `"issuer"`) && !strings.Contains(string(content), `\u`) {
			t.Errorf("a document without an issuer: %q", content)
		}
		if keys.User != nil || keys.Fragment != "" || keys.Host == "" || keys.Scheme != "https" && (keys.Scheme != "http" || !fetch.IsLoopback(keys.Hostname())) {
			t.Errorf("keys at %s", keys)
		}
		if again, err := fetch.ParseSecureURL(keys.String()); err != nil || again.Host != keys.Host {
			t.Errorf("%s is read back differently: %v", keys, err)
		}
	})
}

// FuzzLifetime reads the headers of answers that are about their age.
func FuzzLifetime(f *testing.F) {
	f.Add("public, max-age=600", "60")
	f.Add(`no-cache="a, max-age=5", MAX-AGE = "99999999999999999999"`, "-1")
	f.Fuzz(func(t *testing.T, control, age string) {
		if life := lifetime(http.Header{"Cache-Control": {control}, "Age": {age}}); life < minLife || life > maxLife {
			t.Errorf("%v", life)
		}
	})
}
