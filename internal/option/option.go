// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parser parses one option, whose word is the dispenser's current token.
type Parser = func(*caddyfile.Dispenser) error

// Options maps each option of a block to what parses it.
type Options = map[string]Parser

// Once remembers the options that a block has had.
type Once map[string]bool

// Add refuses an option that is given a second time: it would silently replace the first
// one, or silently add to it.
func (o Once) Add(d *caddyfile.Dispenser, word string) error {
	if o[word] {
		return d.Errf("%s already specified", word)
	}
	o[word] = true
	return nil
}

// Block parses the options of a block, each at most once except those in repeatable.
func Block(d *caddyfile.Dispenser, options Options, repeatable ...string) error {
	seen := make(Once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, ok := options[word]
		if !ok {
			return d.Errf("unrecognized subdirective '%s'", word)
		}
		if !slices.Contains(repeatable, word) {
			if err := seen.Add(d, word); err != nil {
				return err
			}
		}
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// Flag parses an option without arguments.
func Flag(value *bool) Parser {
	return func(d *caddyfile.Dispenser) error {
		if err := noMore(d); err != nil {
			return err
		}
		*value = true
		return nil
	}
}

// Word parses an option with exactly one argument. An argument with a placeholder is not
// checked here, nor by List, but when the configuration is loaded.
func Word(value *string, check func(string) error) Parser { return Literal(value, Unexpanded(check)) }

// Literal is like Word for an option whose placeholders are those of a request, which are
// checked here.
func Literal(value *string, check func(string) error) Parser {
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
		return NoBlock(d)
	}
}

// List parses an option with one or more arguments.
func List(values *[]string, check func([]string) error) Parser {
	return Literals(values, func(args []string) error { return check(unexpandedLeftOut(args)) })
}

// Literals is to List what Literal is to Word.
func Literals(values *[]string, check func([]string) error) Parser {
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
		return NoBlock(d)
	}
}

// Number parses an option with a whole number of at least 1.
func Number(value *int) Parser {
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
		return NoBlock(d)
	}
}

// Size parses an option with a number of bytes of at least 1 and at most most, such as 4096 or
// 32KiB.
func Size(value *int, most int) Parser {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		digits, inKiB := strings.CutSuffix(text, "KiB")
		size, err := strconv.ParseUint(digits, 10, 20)
		if err != nil {
			return d.Errf("parsing %s: %q is not a number of bytes, such as 4096 or 32KiB", option, text)
		}
		if inKiB {
			size <<= 10
		}
		if err := CheckSize(int(size), most); err != nil {
			return d.Errf("parsing %s: %v", option, err)
		}
		*value = int(size)
		return NoBlock(d)
	}
}

// CheckSize refuses a number of bytes below 1 or above most.
func CheckSize(size, most int) error {
	if size < 1 || size > most {
		return fmt.Errorf("%d bytes is not between 1 and %d", size, most)
	}
	return nil
}

// Duration parses an option with a duration above zero.
func Duration(value *caddy.Duration) Parser {
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
		return NoBlock(d)
	}
}

// noMore refuses anything after an option that takes nothing.
func noMore(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() > 0 {
		d.NextArg()
		return d.ArgErr()
	}
	return NoBlock(d)
}

// NoBlock refuses a block after an option that has none: its tokens would otherwise be
// read as options of the block around it.
func NoBlock(d *caddyfile.Dispenser) error {
	if d.NextBlock(d.Nesting()) || d.Val() == "}" { // the latter after an empty one
		return d.Errf("unexpected block")
	}
	return nil
}
