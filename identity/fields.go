// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"strings"
)

// MaxFieldName is the longest name of a header field that can be configured, in bytes.
const MaxFieldName = 128

// Names is a set of header field names and prefixes. Names are compared folded: in lower
// case, with every byte except letters and digits as "-". Upstreams fold too (CGI and WSGI
// turn "-" into "_", PHP also "."), so a client's Remote_User or Remote.User must not get
// past a set that has Remote-User (CVE-2025-64484, CVE-2026-52845).
type Names struct {
	starts starts // of both
	root   *fieldNode
	also   *Names // nil: no more
}

type fieldPattern struct {
	folded   string
	isPrefix bool
}

// NewNames makes a set of patterns: names, or prefixes with a trailing "*".
func NewNames(patterns ...string) (*Names, error) {
	var folded []fieldPattern
	for _, pattern := range patterns {
		if err := CheckFieldPattern(pattern); err != nil {
			return nil, err
		}
		folded = append(folded, foldPattern(pattern))
	}
	return &Names{starts: newStarts(folded), root: newFieldNode(folded)}, nil
}

// And returns the names of both sets. It shares them, so that the sites of a configuration
// have the built-in names once.
func (n *Names) And(other *Names) *Names {
	return &Names{starts: n.starts.and(&other.starts), root: n.root, also: other}
}

// Match says whether name, in any spelling, is in the set. It does not allocate.
func (n *Names) Match(name string) bool {
	return n.starts.have(name) && (n.root.match(name) || n.also != nil && n.also.Match(name))
}

func foldPattern(pattern string) fieldPattern {
	name, isPrefix := strings.CutSuffix(pattern, "*")
	folded := make([]byte, len(name))
	for i := range folded {
		folded[i] = foldByte(name[i])
	}
	return fieldPattern{string(folded), isPrefix}
}

func (p fieldPattern) match(name string) bool {
	if len(name) < len(p.folded) || len(name) > len(p.folded) && !p.isPrefix {
		return false
	}
	for i := range len(p.folded) {
		if foldByte(name[i]) != p.folded[i] {
			return false
		}
	}
	return true
}

// CheckFieldPattern refuses a pattern that is neither the name of a header field (RFC
// 9110, section 5.1) nor a prefix of one with a trailing "*".
func CheckFieldPattern(pattern string) error {
	name := strings.TrimSuffix(pattern, "*")
	switch {
	case name == "" && pattern != "":
		return errors.New("a prefix needs at least one character before '*'")
	case strings.Contains(name, "*"):
		return fmt.Errorf("header field %q: only a trailing '*' makes a prefix", pattern)
	case pattern != name && strings.HasSuffix(name, "."), strings.ContainsAny(name, "^$|"), strings.HasPrefix(name, "-"):
		return notRegexp(pattern)
	}
	return CheckField(name)
}

// notRegexp refuses what RFC 9110 allows in the name of a field, but no known field has. Whoever
// writes ^X-Evil or X-.* means a regular expression, which would strip nothing.
func notRegexp(pattern string) error {
	return fmt.Errorf("header field %s: a name is not a regular expression, and does not begin with a hyphen: write a name such as X-User, or a prefix such as X-Auth-*", Quote(pattern))
}

// CheckField refuses a name that no header field can have.
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

// CheckIdentityField is CheckFieldPattern for a field from which a name is read, or into
// which one is written. It also refuses fields that frame or route the message or belong
// to the connection, which reverse_proxy removes or rewrites, and fields of credentials,
// since a name that is read from one would be logged.
func CheckIdentityField(name string) error {
	if err := CheckFieldPattern(name); err != nil {
		return err
	}
	if _, found := Overlap([]string{name}, notForNames()); found {
		return fmt.Errorf("header field %q cannot carry an identity", name)
	}
	return nil
}

// notForNames lists the fields that cannot carry a name. reverse_proxy overwrites or removes
// some (X-Forwarded-For and the fields of one hop), net/http others (Host, Content-Length),
// and proxies on the way append to the rest (Via, Forwarded): the upstream would see another
// name than the one that was written, or the client's own. Others say where a page's request
// comes from: what reads or writes them would strip them.
func notForNames() []string {
	return []string{
		"authorization", "proxy-authorization", "proxy-authenticate", "proxy-connection",
		"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "alt-svc",
		"content-encoding", "content-length", "content-type", "cookie", "date", "early-data", "expect", "host", "range",
		"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
		"origin", "sec-fetch-*", "sec-websocket-*",
	}
}

// Overlap returns the first pattern of a that can name the same field as one of b.
func Overlap(a, b []string) (pattern string, found bool) {
	for _, x := range a {
		patternX := foldPattern(x)
		for _, y := range b {
			patternY := foldPattern(y)
			if patternX.match(patternY.folded) || patternY.match(patternX.folded) {
				return x, true
			}
		}
	}
	return "", false
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

// IsToken says whether a token may contain c (RFC 9110, section 5.6.2).
func IsToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
}
