// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"slices"
	"strings"
)

// Constant is a [Fallback] whose user is always the same, so that what the policy says of it is
// known when the configuration is loaded.
type Constant interface {
	Fallback

	// Always returns the user, which is not changed.
	Always() *User
}

// CheckRequired refuses a user whom RequireUsers or RequireGroups do not have. It sees the
// groups before AllowGroups leaves some out: who may come in does not depend on what the
// upstream is told.
func (p *Policy) CheckRequired(u *User) error {
	if len(p.RequireUsers) > 0 && !p.RequireUsers.Match(u.Username) {
		return fmt.Errorf("%w: user %s does not match require_users", ErrForbidden, Quote(u.Username))
	}
	if len(p.RequireGroups) > 0 && !slices.ContainsFunc(u.Groups, p.RequireGroups.Match) {
		return fmt.Errorf("%w: none of the groups matches require_groups", ErrForbidden)
	}
	return nil
}

// Covers says whether each name that the pattern matches is matched by p, too.
func (p Patterns) Covers(pattern string) bool {
	name, isPrefix := strings.CutSuffix(pattern, "*")
	return slices.ContainsFunc(p, func(other string) bool {
		prefix, ok := strings.CutSuffix(other, "*")
		return ok && strings.HasPrefix(name, prefix) || !isPrefix && other == pattern
	})
}

// OnlyReserved says whether a pattern matches reserved names only, of which none is allowed: an
// identity meets it only by a source that allows such a name by itself.
func (p *Policy) OnlyReserved(pattern string) bool {
	name, isPrefix := strings.CutSuffix(pattern, "*")
	if isPrefix {
		name += "x" // clusterAdmin* also matches clusterAdmins, which is not reserved
	}
	if !IsReserved(name) {
		return false
	}
	return !slices.ContainsFunc(p.AllowReserved, Patterns{pattern}.Match)
}
