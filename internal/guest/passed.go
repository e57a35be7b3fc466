// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// PassedKey is the key of [Passed] in the context of a request behind kube_identity, for
// handlers that asked for it ([WantDetails]).
type PassedKey struct{}

// Passed is what kube_identity found out about a request, and did with it.
type Passed struct {
	User    identity.User // as it went on
	Source  string
	Expires time.Time // of the credential; zero: not known
	Session time.Time // when the browser's session ends; zero: there is none

	LeftOut  []string // groups that did not go on
	Stripped []string // names of fields that were taken off the request
	Injected []Injected
}

// Injected is a field that the upstream receives.
type Injected struct {
	Field      string
	Lines      int
	Credential bool // its value is a secret
}
