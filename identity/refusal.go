// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
)

// Every refusal wraps exactly one of these sentinels with %w. The status that the client
// gets for each is decided in one place, on Caddy's side.
var (
	// ErrAbsent: this source found no credential; the next source is asked.
	ErrAbsent = errors.New("no credential")

	// ErrMalformed: the request cannot be read, or can be read in two ways.
	ErrMalformed = errors.New("malformed")

	// ErrRejected: a readable credential that proves nothing.
	ErrRejected = errors.New("rejected")

	// ErrForbidden: a proven identity that the policy refuses.
	ErrForbidden = errors.New("forbidden")

	// ErrUnavailable: the credential could not be verified now, or the proxy has no
	// credential of its own to send. Trying again later may help.
	ErrUnavailable = errors.New("unavailable")

	// ErrMethod: CONNECT or TRACE.
	ErrMethod = errors.New("method not allowed")

	// ErrTooEarly: the TLS handshake is not finished (0-RTT), so the request may be a
	// replay, and the address of the peer is not verified (RFC 8470).
	ErrTooEarly = errors.New("too early")

	// ErrInternal: a source or an injector broke its contract or panicked, or the request has
	// passed another handler.
	ErrInternal = errors.New("internal error")
)

// Sentinels returns all of them.
func Sentinels() []error {
	return []error{
		ErrAbsent, ErrMalformed, ErrRejected, ErrForbidden, ErrUnavailable, ErrMethod, ErrTooEarly, ErrInternal,
	}
}

// IsRefusal says whether err wraps exactly one of the [Sentinels]. An error with two of them
// has no single meaning: a bad credential could pass as an absent one.
func IsRefusal(err error) bool {
	wrapped := 0
	for _, sentinel := range Sentinels() {
		if errors.Is(err, sentinel) {
			wrapped++
		}
	}
	return wrapped == 1
}

// IsBadCredential says whether err refuses a credential that was presented and proves nothing. Only
// then may a [Fallback] be asked.
func IsBadCredential(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrRejected)
}

// maxQuote is how many bytes of a name from the wire an error shows.
const maxQuote = 64

// Quote prepares a name from the wire for an error: quoted, so that it cannot forge a
// line of the log, and bounded. It is for names, never for credentials.
func Quote(name string) string {
	if len(name) > maxQuote {
		return fmt.Sprintf("%q… (%d bytes)", name[:maxQuote], len(name))
	}
	return fmt.Sprintf("%q", name)
}
