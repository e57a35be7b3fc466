// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// maxTried is how many keys are tried for a token that does not say by which it was
// signed: each of them costs about as much as a whole good token.
const maxTried = 8

var (
	// errUnknownKey: there is no key that could have signed the token.
	errUnknownKey = errors.New("the issuer has no such key")

	// errSignature: there are such keys, and none of them signed it.
	errSignature = errors.New("no key of the issuer has signed the token")
)

// keySet are the keys of an issuer that can verify signatures. It never changes.
type keySet struct {
	keys       []*publicKey // in the order of the document
	byID       map[string][]*publicKey
	generation uint64 // the same for two sets with the same keys
}

// publicKey is one of them. There are no secrets and no private keys here: see parseKey.
type publicKey struct {
	id         string   // the kid; empty where the key has none
	key        any      // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	algorithms []string // what it may verify
	sum        [32]byte // of all of the above
}

// verify returns the payload of a compact JWS (RFC 7515, section 3.1) that one of the
// keys has signed: one with exactly the kid of the token, or any that fits the algorithm
// where the token has no kid. The error wraps [identity.ErrRejected], and errUnknownKey
// or errSignature where other keys could still verify the token.
func (s *keySet) verify(token string, header Header) (payload []byte, err error) {
	// parsers of tokens have had such faults (CVE-2025-27144 and others)
	defer identity.Recovered(&err, identity.ErrRejected, "reading the token")
	signed, err := parseSigned(token, header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	candidates, limit := s.keys, maxTried
	if header.KeyID != "" {
		candidates = s.byID[header.KeyID]
		limit = len(candidates)
	}
	tried := 0
	for _, key := range candidates {
		if tried == limit {
			break
		}
		if !slices.Contains(key.algorithms, header.Algorithm) {
			continue
		}
		if payload, err := signed.Verify(key.key); err == nil {
			return payload, nil
		}
		tried++
	}
	switch {
	case header.KeyID != "" && len(candidates) == 0:
		return nil, fmt.Errorf("%w: %w: %s", identity.ErrRejected, errUnknownKey, identity.Quote(header.KeyID))
	case header.KeyID == "" && tried == 0:
		return nil, fmt.Errorf("%w: %w: none is for %s", identity.ErrRejected, errUnknownKey, header.Algorithm)
	}
	return nil, fmt.Errorf("%w: %w", identity.ErrRejected, errSignature)
}

// parseSigned reads the token once more, for its signature, and refuses what another
// reader could understand in another way. The errors have nothing out of the token,
// unlike those of jose.
func parseSigned(token string, header Header) (*jose.JSONWebSignature, error) {
	if !slices.Contains(Algorithms(), header.Algorithm) {
		return nil, errors.New("the token's algorithm is none that proves anything")
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(header.Algorithm)})
	if err != nil {
		return nil, errors.New("the token is no JWS that is signed with its algorithm")
	}
	protected := &signed.Signatures[0].Protected
	if protected.KeyID != header.KeyID {
		return nil, errors.New("the token's kid is not what it was read as")
	}
	// jose refuses extensions that it does not know, and obeys b64, also where crit does
	// not name it: a token whose payload is signed as it is (RFC 7797) is no JWT (section 7),
	// and whoever does not know b64 reads another payload.
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, there := protected.ExtraHeaders[name]; there {
			return nil, fmt.Errorf("the token has extensions (%s)", name)
		}
	}
	return signed, nil
}
