// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/caddyserver/caddy/v2"

// placeholderKey is the key of the trusted placeholders in the context that guests are
// provisioned with.
type placeholderKey struct{}

// WithTrustedPlaceholders returns a context whose guests believe these placeholders, by name.
func WithTrustedPlaceholders(ctx caddy.Context, names []string) caddy.Context {
	return ctx.WithValue(placeholderKey{}, names)
}

// TrustedPlaceholders are the names of the placeholders that the operator declares not to come
// from a client ([WithTrustedPlaceholders]).
func TrustedPlaceholders(ctx caddy.Context) []string {
	names, _ := ctx.Value(placeholderKey{}).([]string)
	return names
}
