// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// DefaultMaxGroups is how many groups an identity may have by default.
	DefaultMaxGroups = 256

	// MaxBytes is how long all names and values of an identity may be together. The API
	// server accepts about 1 MB of header, most other upstreams 8 to 64 KiB.
	MaxBytes = 32 << 10
)

// Policy says what an identity may look like, whichever source it came from. It refuses
// an identity and never trims, cuts or cleans a name: the upstream would then see a name
// that was not checked.
type Policy struct {
	// RequireUsers and RequireGroups, where there are any, refuse an identity whose user, or
	// none of whose groups, they match.
	RequireUsers, RequireGroups Patterns

	// DenyUsers and DenyGroups refuse the whole identity.
	DenyUsers, DenyGroups Patterns

	// AllowGroups, if there are any, are the only groups that are injected. Other groups
	// are removed silently.
	AllowGroups Patterns

	// AllowReserved are the exact reserved names of users and groups ([IsReserved]), and
	// keys of extra attributes ([IsReservedKey]), that may pass.
	AllowReserved []string

	// MaxGroups is how many groups may be injected. Default: [DefaultMaxGroups].
	MaxGroups int
}

// Check refuses an identity that the policy does not allow, with an error that wraps
// [ErrForbidden], and removes the groups that AllowGroups does not have.
func (p *Policy) Check(id *Identity) error {
	if id.Username == "" {
		// the API server ignores an empty Impersonate-User, so the request would run as
		// the proxy itself
		return fmt.Errorf("%w: the identity has no user", ErrForbidden)
	}
	if err := checkStrings(id); err != nil {
		return err
	}
	if err := p.checkNames(id); err != nil {
		return err
	}
	if err := p.CheckRequired(&id.User); err != nil {
		return err
	}
	if len(p.AllowGroups) > 0 {
		id.Groups = p.allowed(id.Groups)
	}
	maxGroups := p.MaxGroups
	if maxGroups == 0 {
		maxGroups = DefaultMaxGroups
	}
	if len(id.Groups) > maxGroups {
		return fmt.Errorf("%w: %d groups, more than max_groups %d", ErrForbidden, len(id.Groups), maxGroups)
	}
	if n := size(&id.User); n > MaxBytes {
		return fmt.Errorf("%w: the identity has %d bytes, more than %d", ErrForbidden, n, MaxBytes)
	}
	return nil
}

// checkNames refuses reserved and denied names.
func (p *Policy) checkNames(id *Identity) error {
	if p.reserved(id, id.Username) {
		return fmt.Errorf("%w: user %s is reserved", ErrForbidden, Quote(id.Username))
	}
	if p.DenyUsers.Match(id.Username) {
		return fmt.Errorf("%w: user %s is denied", ErrForbidden, Quote(id.Username))
	}
	for _, group := range id.Groups {
		if p.reserved(id, group) {
			return fmt.Errorf("%w: group %s is reserved", ErrForbidden, Quote(group))
		}
		if p.DenyGroups.Match(group) {
			return fmt.Errorf("%w: group %s is denied", ErrForbidden, Quote(group))
		}
	}
	for key := range id.Extra {
		if IsReservedKey(key) && !p.allowsReserved(id, key) {
			return fmt.Errorf("%w: the extra key %s is reserved", ErrForbidden, Quote(key))
		}
	}
	return nil
}

// reserved says whether name is one of Kubernetes' own that neither the operator nor the
// source allows.
func (p *Policy) reserved(id *Identity, name string) bool {
	return IsReserved(name) && !p.allowsReserved(id, name)
}

func (p *Policy) allowsReserved(id *Identity, name string) bool {
	return slices.Contains(p.AllowReserved, name) || slices.Contains(id.AllowReserved, name)
}

func (p *Policy) allowed(groups []string) []string {
	var kept []string // a new slice: the source may share its slice between requests
	for _, group := range groups {
		if p.AllowGroups.Match(group) {
			kept = append(kept, group)
		}
	}
	return kept
}

// checkStrings refuses every string that an upstream, a log or a terminal could read as
// another string. Its errors do not show the string.
func checkStrings(id *Identity) error {
	for _, field := range [...]struct{ what, value string }{
		{"user", id.Username},
		{"uid", id.UID},
		{"email", id.Email},
		{"name", id.Name},
		{"preferred_username", id.PreferredUsername},
	} {
		if err := checkString(field.what, field.value); err != nil {
			return err
		}
	}
	for _, group := range id.Groups {
		if group == "" {
			return fmt.Errorf("%w: a group is empty", ErrForbidden)
		}
		if err := checkString("group", group); err != nil {
			return err
		}
	}
	return checkExtra(id.Extra)
}

// checkExtra also checks the keys: the API server lower-cases and unescapes them, so two
// keys that differ in case would become one.
func checkExtra(extra map[string][]string) error {
	for key, values := range extra {
		if err := checkString("key of an extra", key); err != nil {
			return err
		}
		if key == "" || key != strings.ToLower(key) {
			return fmt.Errorf("%w: the key of an extra is empty or not in lower case", ErrForbidden)
		}
		for _, value := range values {
			if err := checkString("extra", value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkString refuses invalid UTF-8, outer blanks (an upstream trims them, so that
// " system:masters" passes a check here and means system:masters there), and control
// and format characters (line breaks, NUL, zero-width and direction marks).
func checkString(what, s string) error {
	if isPlain(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: the %s is not UTF-8", ErrForbidden, what)
	}
	if strings.TrimSpace(s) != s {
		return fmt.Errorf("%w: the %s begins or ends with a blank", ErrForbidden, what)
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return fmt.Errorf("%w: the %s has a control or format character", ErrForbidden, what)
		}
	}
	return nil
}

// isPlain says whether all bytes are printable ASCII, and none is a blank: the usual case of a
// name, and what a token has to be. It looks at eight bytes at once. BenchmarkIsBearerToken with
// 1.5 kB, beside a byte at a time: 783 → 237 ns.
func isPlain(s string) bool {
	const each = 0x0101010101010101
	for ; len(s) >= 8; s = s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// The high bit of a byte that is above 0x7f, or becomes so by adding one (0x7f), or
		// borrows when 0x21 is taken from it. Where a carry or borrow comes from another byte,
		// that byte has set its own bit.
		if (x|(x+each)|((x-0x21*each)&^x))&(0x80*each) != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// size returns how long all names and values are together.
func size(u *User) int {
	n := len(u.Username) + len(u.UID) + len(u.Email) + len(u.Name) + len(u.PreferredUsername)
	for _, group := range u.Groups {
		n += len(group)
	}
	for key, values := range u.Extra {
		n += len(key)
		for _, value := range values {
			n += len(value)
		}
	}
	return n
}
