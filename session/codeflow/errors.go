// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"errors"
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

var (
	// ErrGrantEnded says that the issuer no longer accepts the code or the refresh token. The error also
	// wraps [identity.ErrRejected]. No other error of a refresh ends a session.
	ErrGrantEnded = errors.New("the issuer has ended the grant")

	// ErrClientRefused says that the issuer refuses this proxy as a client, or its requests. The operator
	// has to change the configuration, here or there. The error also wraps
	// [identity.ErrUnavailable]: the user's grant is as good as before.
	ErrClientRefused = errors.New("the issuer refuses this client")
)

// unavailable wraps [identity.ErrUnavailable].
func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", identity.ErrUnavailable, fmt.Errorf(format, args...))
}

// rejected wraps [identity.ErrRejected].
func rejected(format string, args ...any) error {
	return fmt.Errorf("%w: %w", identity.ErrRejected, fmt.Errorf(format, args...))
}

// malformed wraps [identity.ErrMalformed].
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", identity.ErrMalformed, fmt.Errorf(format, args...))
}
