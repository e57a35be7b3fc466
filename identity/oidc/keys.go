// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import "context"

// Header is the part of a token's JOSE header that this package reads. Keys that the header
// contains or points to (jwk, jku, x5c, x5u) are ignored (CVE-2026-27962).
type Header struct {
	// Algorithm is the alg: one of [Algorithms].
	Algorithm string

	// KeyID is the kid; empty if the token has none.
	KeyID string
}

// Keys are the public keys of one issuer.
type Keys interface {
	// VerifySignature returns the payload of a compact JWS that one of the keys signed. The
	// error wraps [identity.ErrRejected] when none did, and [identity.ErrUnavailable] when
	// there are no keys that could tell.
	VerifySignature(ctx context.Context, token string, header Header) (payload []byte, err error)

	// Generation changes whenever the keys do, so that verdicts under other keys are not found
	// again.
	Generation() uint64
}
