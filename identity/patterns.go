// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"strings"
)

// Patterns are exact names, or prefixes with a trailing "*".
type Patterns []string

// Match says whether name matches one of them. Case matters.
func (p Patterns) Match(name string) bool {
	for _, pattern := range p {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, prefix) || pattern == name {
			return true
		}
	}
	return false
}

// CheckPattern refuses a pattern that is neither an exact name nor a prefix, and one that no
// name can match, since [Policy] refuses such names: a list of denied users that was read from
// a file, one a line, would be one long name and deny no user.
func CheckPattern(pattern string) error {
	name, isPrefix := strings.CutSuffix(pattern, "*")
	if name == "" {
		return fmt.Errorf("pattern %q matches nothing or everything", pattern)
	}
	if strings.Contains(name, "*") {
		return fmt.Errorf("pattern %q: only a trailing '*' makes a prefix", pattern)
	}
	if isPrefix {
		name += "x" // a prefix may end with a blank
	}
	if checkString("pattern", name) != nil {
		return fmt.Errorf("pattern %s matches nothing: a name has no blank at its ends, no line end or other control character, "+
			"and is UTF-8", Quote(pattern))
	}
	return nil
}
