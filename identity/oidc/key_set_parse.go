// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxKeySet is the largest size of the document in bytes, and maxKeys the largest number
	// of keys. Issuers have two or three, and a few kilobytes.
	maxKeySet = 1 << 20
	maxKeys   = 100

	// minRSA is the smallest RSA key, in bits (RFC 7518, section 3.3). The largest is jose's
	// limit: 4096.
	minRSA = 2048

	// maxSkipped is how many skipped keys a log line names.
	maxSkipped = 4
)

// errOtherUse: a key that is not for signatures. Many issuers publish one, so it is not
// logged.
var errOtherUse = errors.New("it is not for signatures")

// errNoKeys: a set with an empty list, by which an issuer withdraws all of its keys.
var errNoKeys = errors.New("the list of keys is empty")

// parseKeySet reads a JWK Set (RFC 7517, section 5). Unusable keys do not affect the others;
// skipped names them with the reasons, except keys that merely have another use. A set may be
// without a usable key, and skipped then says why: the issuer has withdrawn its keys, and
// keeping the last ones would revoke nothing. A document without a list of keys, or with too
// many keys, is an error.
func parseKeySet(content []byte) (set *keySet, skipped, err error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(content) > maxKeySet {
		return nil, nil, fmt.Errorf("the key set is larger than %d bytes", maxKeySet)
	}
	// jose's encoding/json: names are case-sensitive, and a repeated name is an error
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, nil, errors.New("the key set is not a JSON object with a list of keys, or has a name twice")
	}
	switch {
	case document.Keys == nil: // the member is required (RFC 7517, section 5.1)
		return nil, nil, errors.New("the key set has no list of keys")
	case len(document.Keys) > maxKeys:
		return nil, nil, fmt.Errorf("the key set has %d keys, more than %d", len(document.Keys), maxKeys)
	}
	set = &keySet{byID: make(map[string][]*publicKey)}
	var reasons []string
	for i, raw := range document.Keys {
		key, err := parseKey(raw)
		if err == nil {
			set.keys = append(set.keys, key)
			set.byID[key.id] = append(set.byID[key.id], key)
		} else if !errors.Is(err, errOtherUse) {
			reasons = append(reasons, fmt.Sprintf("key %d: %v", i+1, err))
		}
	}
	set.generation = generationOf(set.keys)
	skipped = joinReasons(reasons)
	switch {
	case len(set.keys) > 0:
	case len(document.Keys) == 0:
		skipped = errNoKeys
	case skipped == nil:
		skipped = fmt.Errorf("none of the %d keys is for signatures", len(document.Keys))
	default:
		skipped = fmt.Errorf("none of the %d keys can be used: %w", len(document.Keys), skipped)
	}
	return set, skipped, nil
}

// joinReasons bounds how much of a document gets into the log.
func joinReasons(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	text := strings.Join(reasons[:min(len(reasons), maxSkipped)], "; ")
	if more := len(reasons) - maxSkipped; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return errors.New(text)
}

// parseKey reads one JWK (RFC 7517, section 4). Only its public members are given to jose,
// so the result cannot be a secret; its certificates are ignored.
func parseKey(raw []byte) (*publicKey, error) {
	var members map[string]*json.RawMessage // nil for null, which some issuers write
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errors.New("it is not a JSON object, or has a name twice")
	}
	maps.DeleteFunc(members, func(_ string, value *json.RawMessage) bool { return value == nil })
	if err := checkUse(members); err != nil {
		return nil, err
	}
	public := make(map[string]*json.RawMessage)
	for _, name := range []string{"kty", "crv", "n", "e", "x", "y", "kid", "alg"} {
		if value, there := members[name]; there {
			public[name] = value
		}
	}
	content, err := json.Marshal(public)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	var jwk jose.JSONWebKey
	switch err := jwk.UnmarshalJSON(content); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return nil, errors.New("its type is not supported")
	case err != nil: // its text may quote the key
		return nil, errors.New("it is invalid, or its type is not supported")
	}
	_, restricted := members["alg"]
	key, err := newPublicKey(&jwk, restricted)
	if err != nil && jwk.KeyID != "" {
		return nil, fmt.Errorf("%s: %w", identity.Quote(jwk.KeyID), err)
	}
	return key, err
}

// checkUse refuses keys for another use, and private or symmetric keys: once such a key is
// published, every reader can sign with it. Its public half is refused as well.
func checkUse(members map[string]*json.RawMessage) error {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, there := members[name]; there {
			return errors.New("it is a private or symmetric key")
		}
	}
	if raw, there := members["use"]; there {
		var use string
		if err := json.Unmarshal(*raw, &use); err != nil || use != "sig" {
			return errOtherUse
		}
	}
	if raw, there := members["key_ops"]; there {
		var operations []string
		if err := json.Unmarshal(*raw, &operations); err != nil || !slices.Contains(operations, "verify") {
			return errOtherUse
		}
	}
	return nil
}

// newPublicKey checks a key that jose could read. restricted says that the key names its
// algorithm; it is then the only one that the key may verify.
func newPublicKey(jwk *jose.JSONWebKey, restricted bool) (*publicKey, error) {
	algorithms, err := algorithmsOf(jwk.Key)
	if err != nil {
		return nil, err
	}
	if restricted {
		if !slices.Contains(algorithms, jwk.Algorithm) {
			return nil, fmt.Errorf("a key of its type cannot verify its algorithm %s", identity.Quote(jwk.Algorithm))
		}
		algorithms = []string{jwk.Algorithm}
	}
	der, err := x509.MarshalPKIXPublicKey(jwk.Key)
	if err != nil {
		return nil, errors.New("it is invalid")
	}
	sum := sha256.Sum256(identity.AppendFramed(nil, append([]string{string(der), jwk.KeyID}, algorithms...)...))
	return &publicKey{id: jwk.KeyID, key: jwk.Key, algorithms: algorithms, sum: sum}, nil
}

// algorithmsOf returns the algorithms that a key can verify by its type (RFC 7518, sections
// 3.3 to 3.5, and RFC 8037, section 3.1): a token cannot choose another use of the key (alg
// confusion).
func algorithmsOf(key any) ([]string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("an RSA key of %d bits, fewer than %d", bits, minRSA)
		}
		// not a product of primes, or an exponent with which crypto/rsa verifies nothing
		if key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 || key.E > math.MaxInt32 {
			return nil, errors.New("it is not a valid RSA key")
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}, nil
		case 384:
			return []string{"ES384"}, nil
		case 521:
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, errors.New("its type is not supported")
}

// generationOf returns the same number for the same keys in any order.
func generationOf(keys []*publicKey) uint64 {
	sums := make([][32]byte, len(keys))
	for i, key := range keys {
		sums[i] = key.sum
	}
	slices.SortFunc(sums, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	hash := sha256.New()
	for _, sum := range slices.Compact(sums) {
		hash.Write(sum[:])
	}
	return binary.BigEndian.Uint64(hash.Sum(nil))
}
