// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// keyring has an issuer's keys until it rotates them: one private key for each algorithm.
// The algorithms of RSA share one, with a kid for each.
type keyring struct {
	suffix string // of each kid, after the algorithm
	keys   map[string]crypto.Signer
}

func newKeyring(rotations int) (keyring, error) {
	made := keyring{keys: map[string]crypto.Signer{}}
	if rotations > 0 {
		made.suffix = fmt.Sprintf("-%d", rotations)
	}
	shared, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return made, fmt.Errorf("making the RSA key: %w", err)
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		made.keys[alg] = shared
	}
	for alg, curve := range map[string]elliptic.Curve{
		"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521(),
	} {
		if made.keys[alg], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			return made, fmt.Errorf("making the %s key: %w", alg, err)
		}
	}
	if _, made.keys["EdDSA"], err = ed25519.GenerateKey(rand.Reader); err != nil {
		return made, fmt.Errorf("making the EdDSA key: %w", err)
	}
	return made, nil
}

func (k keyring) id(alg string) string { return alg + k.suffix }

func (k keyring) header(alg string) map[string]any {
	return map[string]any{"alg": alg, "kid": k.id(alg), "typ": "JWT"}
}

// Algorithms are the ones that an issuer has a key for. The API server accepts all of
// them except EdDSA.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Rotate replaces all keys by new ones with new kids: the old ones are removed from the
// key set. An old token still has a good signature, for a server that has kept the key.
func (i *Issuer) Rotate() error {
	i.mu.Lock()
	i.rotations++
	rotations := i.rotations
	i.mu.Unlock()
	made, err := newKeyring(rotations)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = made
	return nil
}

func (i *Issuer) current() keyring {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys
}

// Key is the issuer's current private key for an algorithm: an *rsa.PrivateKey,
// *ecdsa.PrivateKey or ed25519.PrivateKey, or nil if it has none.
func (i *Issuer) Key(alg string) crypto.Signer { return i.current().keys[alg] }

// KeyID is the kid of Key in the key set: the algorithm's name at first, and
// "NAME-1" and so on after each Rotate.
func (i *Issuer) KeyID(alg string) string { return i.current().id(alg) }

// JWKs are the keys of the key set (RFC 7517 section 5), one for each of Algorithms
// and in their order.
func (i *Issuer) JWKs() []map[string]string {
	present := i.current()
	var all []map[string]string
	for _, alg := range Algorithms() {
		key := PublicJWK(present.keys[alg])
		key["use"], key["alg"], key["kid"] = "sig", alg, present.id(alg)
		all = append(all, key)
	}
	return all
}

// PublicJWK is the public half of a key of RSA, P-256, P-384, P-521 or Ed25519 as a
// JWK (RFC 7518 section 6, RFC 8037 section 2) without use, alg and kid.
func PublicJWK(key crypto.Signer) map[string]string {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{
			"kty": "RSA",
			"n":   base64URL(public.N.Bytes()),
			"e":   base64URL(big.NewInt(int64(public.E)).Bytes()),
		}
	case *ecdsa.PublicKey:
		x, y := point(public)
		return map[string]string{
			"kty": "EC", "crv": public.Params().Name,
			"x": base64URL(x), "y": base64URL(y),
		}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64URL(public)}
	default:
		panic(fmt.Sprintf("a JWK of a %T", public)) // a mistake in the test
	}
}

// point splits the uncompressed form of the public key: 4, x, y.
func point(public *ecdsa.PublicKey) (x, y []byte) {
	all, err := public.Bytes()
	if err != nil {
		panic(err) // a new key on a NIST curve always has this form
	}
	half := len(all) / 2
	return all[1 : 1+half], all[1+half:]
}
