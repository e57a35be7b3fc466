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

	// ErrClientFault says that the issuer refuses this proxy as a client, or that the proxy has
	// no usable proof which client it is. The operator has to act, here or at the issuer. The
	// error also wraps [identity.ErrUnavailable]: the user's grant is as good as before.
	ErrClientFault = errors.New("the client's configuration is at fault")
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
