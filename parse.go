// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"slices"
	"strconv"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// once remembers the options that a block has had.
type once map[string]bool

// option refuses an option that stands a second time, which would silently replace, or
// silently add to, what the first one said.
func (o once) option(d *caddyfile.Dispenser, word string) error {
	if o[word] {
		return d.Errf("%s already specified", word)
	}
	o[word] = true
	return nil
}

// block parses the options of a block, each at most once but for those in repeatable.
func block(d *caddyfile.Dispenser, options map[string]func(*caddyfile.Dispenser) error, repeatable ...string) error {
	seen := make(once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, ok := options[word]
		if !ok {
			return d.Errf("unrecognized subdirective '%s'", word)
		}
		if !slices.Contains(repeatable, word) {
			if err := seen.option(d, word); err != nil {
				return err
			}
		}
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// flag parses an option without arguments.
func flag(value *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if err := noMore(d); err != nil {
			return err
		}
		*value = true
		return nil
	}
}

// word parses an option with exactly one argument.
func word(value *string, check func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var arg string
		if !d.AllArgs(&arg) {
			return d.ArgErr()
		}
		if err := check(arg); err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		*value = arg
		return noBlock(d)
	}
}

// list parses an option with one or more arguments.
func list(values *[]string, check func([]string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		if err := check(args); err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		*values = args
		return noBlock(d)
	}
}

// listAndSeparator parses a list of fields whose last element may be a separator.
func listAndSeparator(values *[]string, separator *string, check func([]string) error) func(*caddyfile.Dispenser) error {
	parse := list(values, func(args []string) error {
		if last := len(args) - 1; last > 0 && isSeparator(args[last]) {
			args = args[:last]
		}
		return check(args)
	})
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		if last := len(*values) - 1; last > 0 && isSeparator((*values)[last]) {
			*values, *separator = (*values)[:last], (*values)[last]
		}
		return nil
	}
}

// oneAndSeparator parses an option with one argument and an optional separator.
func oneAndSeparator(d *caddyfile.Dispenser, value, separator *string, check func(string) error) error {
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
		if !isSeparator(args[1]) {
			return d.Errf("parsing %s: %v", option, checkSeparator(args[1]))
		}
		*separator = args[1]
	}
	return noBlock(d)
}

// isSeparator says whether s is one printable ASCII character that is neither letter
// nor digit.
func isSeparator(s string) bool {
	return len(s) == 1 && s[0] >= ' ' && s[0] < 0x7f && !unicode.IsLetter(rune(s[0])) && !unicode.IsDigit(rune(s[0]))
}

// checkSeparator judges a separator that came as JSON.
func checkSeparator(s string) error {
	if s != "" && !isSeparator(s) {
		return errors.New("a separator is one character that is neither letter nor digit")
	}
	return nil
}

// each makes a check of a list out of a check of its elements.
func each(check func(string) error) func([]string) error {
	return func(values []string) error {
		for _, value := range values {
			if err := check(value); err != nil {
				return err
			}
		}
		return nil
	}
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("the value is empty")
	}
	return nil
}

// number parses an option with a whole number of at least 1.
func number(value *int) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		if n < 1 {
			return d.Errf("parsing %s: %d is less than 1", option, n)
		}
		*value = n
		return noBlock(d)
	}
}

// duration parses an option with a duration above zero.
func duration(value *caddy.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		parsed, err := caddy.ParseDuration(text)
		if err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		if parsed <= 0 {
			return d.Errf("parsing %s: %s is not above zero", option, text)
		}
		*value = caddy.Duration(parsed)
		return noBlock(d)
	}
}

// noMore refuses anything after an option that takes nothing.
func noMore(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() > 0 {
		d.NextArg()
		return d.ArgErr()
	}
	return noBlock(d)
}

// noBlock refuses a block after an option that has none: its tokens would otherwise be
// read as options of the block around it.
func noBlock(d *caddyfile.Dispenser) error {
	if d.NextBlock(d.Nesting()) || d.Val() == "}" { // the latter after an empty one
		return d.Errf("unexpected block")
	}
	return nil
}
