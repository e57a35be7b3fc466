// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// Login is how browsers log in at the issuer of a source.
type Login struct {
	// Key names the issuer and the client. A session remembers at which it was begun.
	Key string

	Issuer   string
	Provider *codeflow.Provider

	// Logout verifies the issuer's logout tokens by the source's keys, and may be nil.
	Logout *codeflow.LogoutVerifier

	// RedirectURL is the callback as the browser knows it. Empty: the site of the request.
	RedirectURL string

	// NoRefresh ends a session with its first ID token. Margin is how long before its end an ID
	// token is replaced; zero for the default.
	NoRefresh bool
	Margin    time.Duration
}
