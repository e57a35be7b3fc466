// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Syntax is the way in which an upstream reads names out of fields. A name that it would
// read as another is refused. The empty Syntax refuses nothing.
type Syntax string

// The syntaxes that are not an upstream's name are shared by several.
const (
	// SyntaxASCII is that of upstreams which read bytes as ISO 8859-1 (Jetty, Netty, WSGI):
	// a letter outside ASCII becomes two others.
	SyntaxASCII Syntax = "ascii"

	// SyntaxGrafana: a user in whom there is a mail address is looked up by that address
	// (pkg/services/authn/clients/grafana.go: mail.ParseAddress); groups are split at blanks
	// and commas, lose quotes, and are JSON behind "[" (pkg/util/strings.go: SplitString).
	SyntaxGrafana Syntax = "grafana"

	// SyntaxMimir: a tenant has 150 bytes of an alphabet of its own, and ends at ":" (dskit,
	// tenant/tenant.go: ValidTenantID, trimSubtenantID).
	SyntaxMimir Syntax = "mimir"

	// SyntaxOpenSearch is ASCII without "|", which separates user and roles where OpenSearch
	// hands both to its plugins (security, setUserInfoInThreadContext).
	SyntaxOpenSearch Syntax = "opensearch"

	// SyntaxOpenShift is that of [CheckOpenShiftUser].
	SyntaxOpenShift Syntax = "openshift"
)

// UserSyntaxes and GroupsSyntaxes are those that exist for users and for groups.
func UserSyntaxes() []Syntax {
	return []Syntax{SyntaxASCII, SyntaxGrafana, SyntaxOpenSearch, SyntaxOpenShift}
}

// GroupsSyntaxes are those that exist for groups.
func GroupsSyntaxes() []Syntax {
	return []Syntax{SyntaxASCII, SyntaxGrafana, SyntaxMimir, SyntaxOpenSearch}
}

// checkUser refuses a user whom the upstream would take for another.
func (s Syntax) checkUser(user string) error {
	if s == SyntaxOpenShift {
		return CheckOpenShiftUser(user)
	}
	if s == SyntaxGrafana {
		if address, err := mail.ParseAddress(user); err == nil && address.Address != user {
			return fmt.Errorf("%w: user %s has a mail address in it, and Grafana would take the user for the one with that address",
				identity.ErrForbidden, identity.Quote(user))
		}
	}
	if !s.isRead(user) {
		return fmt.Errorf("%w: user %s has a character that the upstream would read as another", identity.ErrForbidden, identity.Quote(user))
	}
	return nil
}

// checkGroup refuses a group that the upstream would read as another, or as several.
func (s Syntax) checkGroup(group string) error {
	if s == SyntaxMimir && !isTenant(group) {
		return fmt.Errorf("%w: group %s cannot be a tenant of Mimir", identity.ErrForbidden, identity.Quote(group))
	}
	splits := func(r rune) bool { return r == '"' || r == ',' || unicode.IsSpace(r) }
	if s == SyntaxGrafana && (strings.HasPrefix(group, "[") || strings.ContainsFunc(group, splits)) || !s.isRead(group) {
		return fmt.Errorf("%w: group %s has a character that the upstream would read as another", identity.ErrForbidden, identity.Quote(group))
	}
	return nil
}

// isRead says whether the upstream reads every character as the one that was written.
func (s Syntax) isRead(value string) bool {
	if s != SyntaxASCII && s != SyntaxOpenSearch {
		return true
	}
	for i := range len(value) {
		if value[i] >= 0x80 || s == SyntaxOpenSearch && value[i] == '|' {
			return false
		}
	}
	return true
}

// isTenant says whether dskit reads s as one tenant of that name. "." and ".." are not, nor
// is the name that Mimir has for itself.
func isTenant(s string) bool {
	const maxTenant = 150
	if len(s) > maxTenant || s == "." || s == ".." || s == "__mimir_cluster" {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!-_.*'()", c) < 0:
			return false
		}
	}
	return true
}
