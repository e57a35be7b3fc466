// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"strings"
)

// MaxFieldName is the longest name of a header field that can be configured, in
// bytes. It bounds the buffer in which names are folded.
const MaxFieldName = 128

// Names is a set of header field names and prefixes that is compared folded: lower
// case, and every byte that is neither letter nor digit as "-". Upstreams fold too
// (CGI and WSGI turn "-" into "_", PHP also "."), so a client's Remote_User or
// Remote.User must not get past a set that has Remote-User (CVE-2025-64484,
// CVE-2026-52845).
type Names struct {
	exact map[string]struct{}

	// By first byte, so that most names are settled by one look: the lengths of the
	// exact names, a bit each, and the prefixes.
	lengths  [256][MaxFieldName/64 + 1]uint64
	prefixes [256][]string
}

// NewNames makes a set of patterns: names, or prefixes with a trailing "*".
func NewNames(patterns ...string) (*Names, error) {
	n := &Names{exact: make(map[string]struct{}, len(patterns))}
	for _, pattern := range patterns {
		if err := CheckFieldPattern(pattern); err != nil {
			return nil, err
		}
		name, isPrefix := strings.CutSuffix(pattern, "*")
		var buf [MaxFieldName]byte
		folded := string(fold(&buf, name))
		first := folded[0]
		if isPrefix {
			n.prefixes[first] = append(n.prefixes[first], folded)
		} else {
			n.exact[folded] = struct{}{}
			n.lengths[first][len(folded)/64] |= 1 << (len(folded) % 64)
		}
	}
	return n, nil
}

// Match says whether name, in any spelling, is in the set. It does not allocate.
func (n *Names) Match(name string) bool {
	if name == "" {
		return false
	}
	first := foldByte(name[0])
	size := len(name)
	exact := size <= MaxFieldName && n.lengths[first][size/64]&(1<<(size%64)) != 0
	if !exact && n.prefixes[first] == nil {
		return false
	}
	var buf [MaxFieldName]byte
	folded := fold(&buf, name)
	if exact {
		if _, ok := n.exact[string(folded)]; ok {
			return true
		}
	}
	for _, prefix := range n.prefixes[first] {
		if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// CheckFieldPattern refuses what cannot be the name of a header field (RFC 9110,
// section 5.1), or a prefix of one with a trailing "*".
func CheckFieldPattern(pattern string) error {
	name := strings.TrimSuffix(pattern, "*")
	switch {
	case name == "" && pattern != "":
		return errors.New("a prefix needs at least one character before '*'")
	case strings.Contains(name, "*"):
		return fmt.Errorf("header field %q: only a trailing '*' makes a prefix", pattern)
	}
	return CheckField(name)
}

// CheckField refuses what cannot be the name of a header field.
func CheckField(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a header field is empty")
	case len(name) > MaxFieldName:
		return fmt.Errorf("header field %s is longer than %d bytes", Quote(name), MaxFieldName)
	}
	for i := range len(name) {
		if !IsToken(name[i]) {
			return fmt.Errorf("header field %s has a character that no field name may have", Quote(name))
		}
	}
	return nil
}

// CheckIdentityField is CheckFieldPattern for a field that is to carry a name, in or
// out. Refused are the fields that frame or route the message or belong to the
// connection, since reverse_proxy removes or rewrites them, and those that carry
// credentials: a name that is read from there would be written into the log.
func CheckIdentityField(name string) error {
	if err := CheckFieldPattern(name); err != nil {
		return err
	}
	if _, found := Overlap([]string{name}, notForNames()); found {
		return fmt.Errorf("header field %q cannot carry an identity", name)
	}
	return nil
}

// notForNames lists the fields that are no place for a name.
func notForNames() []string {
	return []string{
		"authorization", "proxy-authorization",
		"connection", "content-encoding", "content-length", "content-type", "cookie", "date", "early-data", "expect",
		"host", "keep-alive", "origin", "proxy-connection", "range", "sec-websocket-key", "sec-websocket-protocol",
		"sec-websocket-version", "te", "trailer", "transfer-encoding", "upgrade", "via",
	}
}

// Overlap returns the first pattern of a that names a field which b names too.
func Overlap(a, b []string) (pattern string, found bool) {
	var bufA, bufB [MaxFieldName]byte
	for _, x := range a {
		nameX, prefixX := strings.CutSuffix(x, "*")
		foldedX := string(fold(&bufA, nameX))
		for _, y := range b {
			nameY, prefixY := strings.CutSuffix(y, "*")
			foldedY := string(fold(&bufB, nameY))
			if foldedX == foldedY ||
				prefixX && strings.HasPrefix(foldedY, foldedX) ||
				prefixY && strings.HasPrefix(foldedX, foldedY) {
				return x, true
			}
		}
	}
	return "", false
}

// fold writes the folded start of name into buf. Names longer than buf keep only
// their start, which is all that a prefix needs.
func fold(buf *[MaxFieldName]byte, name string) []byte {
	n := min(len(name), MaxFieldName)
	for i := range n {
		buf[i] = foldByte(name[i])
	}
	return buf[:n]
}

func foldByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	default:
		return '-'
	}
}

// IsToken says whether c may stand in a token (RFC 9110, section 5.6.2).
func IsToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
}
