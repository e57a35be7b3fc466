// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Claims are what a token says, by name. Values are what JSON makes of them: string,
// float64, bool, nil, []any or map[string]any.
type Claims map[string]any

// Mapper makes a user of the claims of a token that has been verified. The error wraps
// [identity.ErrRejected] when the claims are not what they must be.
type Mapper interface {
	Map(ctx context.Context, claims Claims) (identity.User, error)
}

// ParseClaims reads the payload of a token. Names that are there twice, also in another
// case and at any depth, are refused: of two readers, such as this one and the API
// server, each could believe another value (CVE-2022-2385). So is what is not UTF-8, in
// which two names could become one.
func ParseClaims(payload []byte) (Claims, error) {
	value, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("the text is no JSON object")
	}
	return object, nil
}
