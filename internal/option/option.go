// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parser parses one option, whose word is the dispenser's current token.
type Parser = func(*caddyfile.Dispenser) error

// Options maps each option of a block to what parses it.
type Options = map[string]Parser

// once remembers the options that a block has had, and where.
type once map[string]string

// add refuses an option that is given a second time: it would silently replace the first
// one, or silently add to it.
func (o once) add(d *caddyfile.Dispenser, options Options) error {
	word := d.Val()
	before, found := o[word]
	o[word] = fmt.Sprintf("%s:%d", d.File(), d.Line())
	if !found {
		return nil
	}
	keep := "keep one of the two"
	switch form := formOf(blockOf(options), word); {
	case strings.HasPrefix(word, "require_"): // joining the lines would let more users in than both mean
		keep = "one match of a line is enough, so that two lines in one would not require both: keep one of the two lines"
	case strings.Contains(form, "{"):
		keep += " blocks, with the options of both"
	case strings.HasSuffix(form, "..."), strings.HasSuffix(form, "... [<separator>]"):
		keep += " lines, with the values of both"
	default:
		keep += " lines"
	}
	return d.Errf("%s already specified at %s: %s", word, before, keep)
}

// Block parses the options of a block, each at most once except those in repeatable.
func Block(d *caddyfile.Dispenser, options Options, repeatable ...string) error {
	seen := make(once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, ok := options[word]
		if !ok {
			return unknown(d, options)
		}
		if !slices.Contains(repeatable, word) {
			if err := seen.add(d, options); err != nil {
				return err
			}
		}
		if err := run(d, parse, options); err != nil {
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
		if args[0] == "=" {
			return d.Errf("parsing %s: remove the '='", option)
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
		switch {
		case hasPlaceholder(text):
			return d.Errf("parsing %s: %v", option, errTooLate(text))
		case errors.Is(err, strconv.ErrRange):
			return d.Errf("parsing %s: %s is too large: write a smaller number", option, text)
		case err != nil:
			return d.Errf("parsing %s: expected a whole number such as 100, and got '%s'", option, text)
		case n < 1:
			return d.Errf("parsing %s: %d is less than 1: write 1 or more", option, n)
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
			return d.Errf("parsing %s: %q is not a number of bytes: write one such as 4096 or 32KiB", option, text)
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
		parsed, err := ParseDuration(text)
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

// ParseDuration reads a duration. Its errors say how one is written.
func ParseDuration(text string) (time.Duration, error) {
	parsed, err := caddy.ParseDuration(text)
	if err == nil {
		return parsed, nil
	}
	if hasPlaceholder(text) {
		return 0, errTooLate(text)
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit: write %ss for seconds, or another of ms, m, h and d", text, text)
	}
	return 0, fmt.Errorf("%q is not a duration: write one such as 30s, 5m, 12h or 7d", text)
}

// noMore refuses anything after an option that takes nothing.
func noMore(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() > 0 {
		d.NextArg()
		return d.ArgErr()
	}
	return NoBlock(d)
}

var errBlock = errors.New("unexpected block")

// NoBlock refuses a block after an option that has none: its tokens would otherwise be
// read as options of the block around it.
func NoBlock(d *caddyfile.Dispenser) error {
	if d.NextBlock(d.Nesting()) || d.Val() == "}" { // the latter after an empty one
		return d.WrapErr(errBlock)
	}
	return nil
}
