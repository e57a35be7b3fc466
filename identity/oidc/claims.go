// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Claims are the claims of a token, by name. Values are of the types that JSON has: string,
// float64, bool, nil, []any or map[string]any.
type Claims map[string]any

// Mapper maps the claims of a verified token to a user. The error wraps
// [identity.ErrRejected] when the claims do not meet the mapper's rules.
type Mapper interface {
	Map(ctx context.Context, claims Claims) (identity.User, error)
}

// ParseClaims reads the payload of a token. A name that appears twice is refused, also in
// another case and at any depth: two readers, such as this one and the API server, could
// each believe another value (CVE-2022-2385). Text that is not UTF-8, and an escape that is
// half a surrogate pair, are refused too, since two names in it could become one.
func ParseClaims(payload []byte) (Claims, error) {
	value, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("the text is not a JSON object")
	}
	return object, nil
}
