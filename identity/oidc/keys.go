// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import "context"

// Header is what this package reads of a token's JOSE header. Keys that the header
// itself brings or points to (jwk, jku, x5c, x5u) are not looked at (CVE-2026-27962).
type Header struct {
	// Algorithm is the alg: one of those that the issuer may use.
	Algorithm string

	// KeyID is the kid; empty where the token names none.
	KeyID string
}

// Keys are the public keys of one issuer.
type Keys interface {
	// VerifySignature returns the payload of a compact JWS when one of the keys signed it.
	// The error wraps [identity.ErrRejected] when none did, and [identity.ErrUnavailable]
	// when the keys are not to be had.
	VerifySignature(ctx context.Context, token string, header Header) (payload []byte, err error)

	// Generation changes whenever the keys do, so that what was verified with other keys
	// is not found again.
	Generation() uint64
}
