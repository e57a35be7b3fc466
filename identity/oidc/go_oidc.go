// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"context"
	"fmt"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// goOIDCEarly is how long before its nbf go-oidc accepts a token, which cannot be changed.
const goOIDCEarly = 5 * time.Minute

// askGoOIDC gives go-oidc, the API server's verifier, the last word on a token that was read
// strictly, is for this audience and valid at now. go-oidc reads it once more, has the keys
// verify the signature, decodes the standard claims, and compares issuer, audience and times.
// Its texts are not in the error, since they quote claims.
func (i *Issuer) askGoOIDC(ctx context.Context, token *unverified, audience string, now time.Time) (err error) {
	// parsers of tokens have panicked before (CVE-2025-27144 and others)
	defer identity.Recovered(&err, identity.ErrRejected, "reading the token")
	keys := &keysForOne{keys: i.Keys, token: token}
	verifier := goidc.NewVerifier(i.URL, keys, &goidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{token.header.Algorithm}, // the one that was read and is allowed
		// One clock is for exp and nbf. Set back by Skew it judges exp as checkTimes does, and
		// nbf no more strictly, as long as both fit into go-oidc's five minutes.
		Now:             func() time.Time { return now.Add(-i.Skew) },
		SkipExpiryCheck: i.Skew+i.Early > goOIDCEarly,
	})
	switch _, err := verifier.Verify(ctx, token.raw); {
	case keys.err != nil:
		return keys.err
	case !keys.verified: // and not asked: go-oidc reads the token first
		return fmt.Errorf("%w: go-oidc, the API server's verifier, cannot read the token", identity.ErrRejected)
	case err != nil:
		return fmt.Errorf("%w: go-oidc, the API server's verifier, refuses the token's claims", identity.ErrRejected)
	}
	return nil
}

// keysForOne is go-oidc's KeySet: the keys of an issuer, for one token. It keeps their error,
// since go-oidc passes on the text alone: an issuer that is out of reach would look like a bad
// token.
type keysForOne struct {
	keys  Keys
	token *unverified

	verified bool
	err      error // why not, if the keys were asked
}

// VerifySignature implements go-oidc's KeySet.
func (k *keysForOne) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	payload, err = k.keys.VerifySignature(ctx, raw, k.token.header)
	if err == nil && !bytes.Equal(payload, k.token.payload) {
		err = fmt.Errorf("%w: the signed claims are not those that were read", identity.ErrRejected)
	}
	k.verified, k.err = err == nil, err
	return payload, err
}

// Interface guard
var _ goidc.KeySet = (*keysForOne)(nil)
