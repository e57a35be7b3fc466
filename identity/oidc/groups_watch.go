// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// GroupsWatch notices that the claim with the groups has not been in any valid token. A
// mistake in its name leaves every user without groups, and nothing else tells. It is safe for
// concurrent use.
type GroupsWatch struct {
	// OnProblem is called once, for the first valid token, if that lacks the claim. It may be
	// nil.
	OnProblem func(message string, err error)

	seen    atomic.Bool
	missing atomic.Pointer[error]
}

// saw is called with the claims of a valid token.
func (w *GroupsWatch) saw(claim Claim, claims Claims) {
	if w == nil || claim == "" || w.seen.Load() {
		return
	}
	if value, _ := claim.in(claims); value != nil {
		w.seen.Store(true)
		return
	}
	why := lacks(claim, claims)
	if w.missing.CompareAndSwap(nil, &why) && w.OnProblem != nil {
		w.OnProblem("no valid token has had the claim of groups_claim so far, so its users have no groups", why)
	}
}

// Missing says how the claim is missing, if valid tokens came and none had it.
func (w *GroupsWatch) Missing() error {
	if why := w.missing.Load(); why != nil && !w.seen.Load() {
		return *why
	}
	return nil
}

// lacks also looks whether a name with dots was meant as a path, as other programs write it.
func lacks(claim Claim, claims Claims) error {
	steps := strings.NewReplacer("~", "~0", "/", "~1", ".", "/").Replace(string(claim))
	pointer := Claim("/" + steps)
	if _, there := pointer.in(claims); there && !claim.isPointer() {
		return fmt.Errorf("the token has no claim %s, but the JSON Pointer %s leads to one",
			identity.Quote(string(claim)), identity.Quote(string(pointer)))
	}
	return fmt.Errorf("the token has no claim %s", identity.Quote(string(claim)))
}
