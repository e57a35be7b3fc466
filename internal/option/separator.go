// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// ListAndSeparator parses a list of fields whose last element may be a separator.
func ListAndSeparator(values *[]string, separator *string, check func([]string) error) Parser {
	return func(d *caddyfile.Dispenser) error {
		option, args, last := d.Val(), []string(nil), ""
		if err := List(&args, func([]string) error { return nil })(d); err != nil {
			return err
		}
		if n := len(args) - 1; n > 0 && isMeantAsSeparator(args[n]) {
			if err := checkSeparator(args[n]); err != nil {
				return d.Errf("parsing %s: %v", option, err)
			}
			args, last = args[:n], args[n]
		}
		if err := check(unexpandedLeftOut(args)); err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		*values = args
		if last != "" {
			*separator = last
		}
		return nil
	}
}

// OneAndSeparator parses an option with one argument and an optional separator.
func OneAndSeparator(d *caddyfile.Dispenser, value, separator *string, check func(string) error) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	if err := check(args[0]); err != nil {
		return d.Errf("parsing %s: %v", option, err)
	}
	*value = args[0]
	if len(args) == 2 {
		if err := Unexpanded(checkSeparator)(args[1]); err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		*separator = args[1]
	}
	return NoBlock(d)
}

var errSeparator = errors.New("a separator is one character that is neither letter nor digit, such as ','")

// isSeparator says whether s is one printable ASCII character that is neither letter
// nor digit.
func isSeparator(s string) bool {
	return len(s) == 1 && s[0] >= ' ' && s[0] < 0x7f && !unicode.IsLetter(rune(s[0])) && !unicode.IsDigit(rune(s[0]))
}

// isMeantAsSeparator says whether s has neither a letter nor a digit, so that it cannot be the name
// of a field.
func isMeantAsSeparator(s string) bool {
	if slices.Contains([]string{"comma", "semicolon", "colon", "pipe", "space", "blank", "tab"}, s) {
		return true // no field has such a name
	}
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// checkSeparator refuses other separators. For ", " it says that "," is enough: blanks around an
// element are not part of it.
func checkSeparator(s string) error {
	if isSeparator(s) {
		return nil
	}
	if trimmed := strings.Trim(s, " \t"); isSeparator(trimmed) {
		return fmt.Errorf("the separator %q has more than one character: write '%s', since blanks around a group do not count", s, trimmed)
	}
	return fmt.Errorf("the separator %q: %w", s, errSeparator)
}

// CheckSeparator checks a separator that came as JSON.
func CheckSeparator(s string) error {
	if s == "" {
		return nil
	}
	return checkSeparator(s)
}
