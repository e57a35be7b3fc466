// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// MaxValues is how many users, groups, uids and values of extra attributes a request may ask
// for. Each of them costs a question to the API server (kube-oidc-proxy #118: one request asked
// thousands).
const MaxValues = 64

const (
	userField   = "Impersonate-User"
	groupField  = "Impersonate-Group"
	uidField    = "Impersonate-Uid"
	extraPrefix = "Impersonate-Extra-"
	allFields   = "Impersonate-*"
)

// Wanted returns the user whom the client asks to be. It is stricter than the API server, which
// takes the first of two users, ignores fields that it does not know, and takes an empty user for
// none: the request would then run as the proxy itself.
func Wanted(stripped identity.Stripped) (*identity.User, error) {
	ours, err := identity.NewNames(allFields)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", identity.ErrInternal, err)
	}
	wanted := new(identity.User)
	values := 0
	for _, field := range stripped {
		if !ours.Match(field.Name) {
			continue
		}
		if values += len(field.Values); values > MaxValues {
			return nil, fmt.Errorf("%w: the client asks to impersonate more than %d values", identity.ErrForbidden, MaxValues)
		}
		if err := read(wanted, field.Name, field.Values); err != nil {
			return nil, err
		}
	}
	if wanted.Username == "" {
		return nil, fmt.Errorf("%w: the client asks to impersonate without naming a user", identity.ErrMalformed)
	}
	return wanted, check(wanted)
}

// read reads one field. Only canonical names are known: another spelling (Impersonate_User) is
// one that the API server ignores, and the client means something by it.
func read(wanted *identity.User, name string, lines []string) error {
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			return fmt.Errorf("%w: %s is empty", identity.ErrMalformed, identity.Quote(name))
		}
	}
	single := func(into *string) error {
		if len(lines) != 1 {
			return fmt.Errorf("%w: %d lines of %s", identity.ErrMalformed, len(lines), name)
		}
		*into = lines[0]
		return nil
	}
	switch {
	case name == userField:
		return single(&wanted.Username)
	case name == uidField:
		return single(&wanted.UID)
	case name == groupField:
		wanted.Groups = lines
		return nil
	case strings.HasPrefix(name, extraPrefix):
		return readExtra(wanted, name[len(extraPrefix):], lines)
	}
	return fmt.Errorf("%w: %s is not a field of impersonation", identity.ErrMalformed, identity.Quote(name))
}

// readExtra reads a key as the API server does, which decodes the lower-cased name. A key that
// cannot be decoded it takes as it stands, and a key in two spellings it takes as one.
func readExtra(wanted *identity.User, encoded string, lines []string) error {
	key, err := url.PathUnescape(strings.ToLower(encoded))
	switch {
	case err != nil || key == "" || key != strings.ToLower(key):
		return fmt.Errorf("%w: the extra key in %s cannot be read", identity.ErrMalformed, identity.Quote(extraPrefix+encoded))
	case wanted.Extra[key] != nil:
		return fmt.Errorf("%w: two fields for the extra key %s", identity.ErrMalformed, identity.Quote(key))
	case wanted.Extra == nil:
		wanted.Extra = make(map[string][]string)
	}
	wanted.Extra[key] = lines
	return nil
}

// check refuses what no right allows. system:masters may do everything, whatever RBAC says, and
// constrained impersonation refuses it too (KEP-5284).
func check(wanted *identity.User) error {
	for _, group := range wanted.Groups {
		if strings.EqualFold(group, "system:masters") {
			return fmt.Errorf("%w: the client asks to impersonate the group %s", identity.ErrForbidden, identity.Quote(group))
		}
	}
	if wanted.Extra[identity.OriginalUserKey] != nil {
		return fmt.Errorf("%w: the client asks to impersonate the extra key %s, which only the proxy sets",
			identity.ErrForbidden, identity.Quote(identity.OriginalUserKey))
	}
	return nil
}
