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

// maxTried is how many keys are tried for a token without a kid: each attempt costs about as
// much as a whole good token.
const maxTried = 8

var (
	// errUnknownKey: the issuer has no key that could have signed the token.
	errUnknownKey = errors.New("the issuer has no such key")

	// errSignature: the issuer has such keys, and none of them signed the token.
	errSignature = errors.New("the token is not signed by a key of the issuer")
)

// keySet holds the keys of an issuer that can verify signatures; it may be empty. It never
// changes.
type keySet struct {
	keys       []*publicKey // in the order of the document
	byID       map[string][]*publicKey
	generation uint64 // the same for two sets with the same keys
}

// publicKey is one of these keys. It never holds a secret or a private key: see parseKey.
type publicKey struct {
	id         string   // the kid; empty if the key has none
	key        any      // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	algorithms []string // those that the key may verify
	sum        [32]byte // of all of the above
}

// verify returns the payload of a compact JWS (RFC 7515, section 3.1) that one of the keys
// has signed: a key with exactly the token's kid, or, if the token has no kid, any key that
// fits the algorithm. The error wraps [identity.ErrRejected], and also errUnknownKey or
// errSignature when newer keys could still verify the token.
func (s *keySet) verify(token string, header Header) (payload []byte, err error) {
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
	case len(s.keys) == 0:
		return nil, fmt.Errorf("%w: %w: it publishes no key that can be used", identity.ErrRejected, errUnknownKey)
	case header.KeyID != "" && len(candidates) == 0:
		return nil, fmt.Errorf("%w: %w: %s", identity.ErrRejected, errUnknownKey, identity.Quote(header.KeyID))
	case header.KeyID == "" && tried == 0:
		return nil, fmt.Errorf("%w: %w: a key for %s", identity.ErrRejected, errUnknownKey, header.Algorithm)
	}
	return nil, fmt.Errorf("%w: %w", identity.ErrRejected, errSignature)
}

// parseSigned reads the token once more, for its signature, and refuses a token that another
// reader could understand differently. Unlike jose's errors, these contain no part of the
// token.
func parseSigned(token string, header Header) (*jose.JSONWebSignature, error) {
	if !slices.Contains(Algorithms(), header.Algorithm) {
		return nil, errors.New("the token's algorithm is not an asymmetric signature algorithm")
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(header.Algorithm)})
	if err != nil {
		return nil, errors.New("the token is not a JWS signed with its algorithm")
	}
	protected := &signed.Signatures[0].Protected
	if protected.KeyID != header.KeyID {
		return nil, errors.New("the token's kid is not the one that was read first")
	}
	// jose refuses extensions that it does not know, and obeys b64 even if crit does not name
	// it: a token whose payload is signed unencoded (RFC 7797) is not a JWT (section 7), and a
	// reader that does not know b64 reads another payload.
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, there := protected.ExtraHeaders[name]; there {
			return nil, fmt.Errorf("the token has extensions (%s)", name)
		}
	}
	return signed, nil
}
