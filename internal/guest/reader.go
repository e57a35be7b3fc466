// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/caddy-kube-identity/caddy-kube-identity/identity"

// Reader is implemented by a source that reads something besides header fields, for the command
// check.
type Reader interface {
	// ReadsBesides names what it reads. A placeholder is in braces.
	ReadsBesides() []string
}

// Hinter is implemented by a source that can say more about what it answered than belongs into a
// log, for the command check.
type Hinter interface {
	// Hints are whole sentences without a final dot: what in the request, or in the source's
	// options, led to the error. They have names, and never a credential.
	Hints(r *identity.Request, err error) []string
}
