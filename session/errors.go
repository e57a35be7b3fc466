// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A request whose cookies cannot be used has no session: its cookies are not a bad
// credential, which would refuse the request, but an absent one, which lets the browser log
// in again. The errors that say so wrap [identity.ErrAbsent] and exactly one of these.
var (
	// ErrNoCookie: the request does not have the cookie.
	ErrNoCookie = fmt.Errorf("%w: the request has no session cookie", identity.ErrAbsent)

	// ErrDuplicate: a cookie's name stands in the request twice. One of the two may have been
	// planted by a neighbouring site, and the request does not say which.
	ErrDuplicate = fmt.Errorf("%w: the request has a session cookie twice", identity.ErrAbsent)

	// ErrUnreadable: forged, damaged, made for another site or purpose, or an incomplete set.
	ErrUnreadable = fmt.Errorf("%w: the session cookie cannot be read", identity.ErrAbsent)

	// ErrUnknownKey: sealed with a key that this instance does not have. The instances behind
	// one site do not share their keys, or the key was removed.
	ErrUnknownKey = fmt.Errorf("%w: the session cookie was sealed with a key that this instance does not have", identity.ErrAbsent)

	// ErrNotStored: the session of a ticket is not in the store any more.
	ErrNotStored = fmt.Errorf("%w: the session is not in the store", identity.ErrAbsent)

	// ErrExpired: the session's lifetime or its idle time is over.
	ErrExpired = fmt.Errorf("%w: the session has expired", identity.ErrAbsent)

	// ErrDenied: the session was logged out.
	ErrDenied = fmt.Errorf("%w: the session was logged out", identity.ErrAbsent)
)

// ErrEnded says that the issuer does not refresh this session any more (invalid_grant). A
// [Grant] wraps it, and only it ends a session.
var ErrEnded = errors.New("the issuer ended the session")

// ErrTooLarge says that the session does not fit into the cookies, or into the store. The error is a
// [*TooLargeError].
var ErrTooLarge = errors.New("the session is too large")

// TooLargeError names the sizes, in bytes, for the page and the log.
type TooLargeError struct {
	Total, Limit          int // all cookies of this handler, and how much they may be
	IDToken, RefreshToken int // as the issuer sent them
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%v: %d bytes of at most %d (id token %d, refresh token %d)",
		ErrTooLarge, e.Total, e.Limit, e.IDToken, e.RefreshToken)
}

// Unwrap returns [ErrTooLarge].
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }
