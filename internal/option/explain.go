// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Here returns the current token alone. It gives errors the file and line of that token after the
// parser has read on.
func Here(d *caddyfile.Dispenser) *caddyfile.Dispenser {
	here := caddyfile.NewDispenser([]caddyfile.Token{d.Token()})
	here.Next()
	return here
}

// unknown is the error for the current token, which is not an option of its block. It says
// which word was meant, in which block it belongs, or what another product's word is here.
func unknown(d *caddyfile.Dispenser, options Options) error {
	word := d.Val()
	return d.Errf("unrecognized subdirective '%s': %s", word, meant(word, options))
}

func meant(word string, options Options) string {
	words := slices.Sorted(maps.Keys(options))
	block, near := blockOf(options), sameOrLonger(word, words)
	if text := advice(block, word); text != "" && !slices.ContainsFunc(near, func(w string) bool { return fold(w) == fold(word) }) {
		return text
	}
	if option := optionOf(block, fold(word)); option != "" && !weakens(fold(word)) {
		return fmt.Sprintf("it is a value of '%[1]s': write '%[1]s %[2]s'", option, fold(word))
	}
	switch blocks := blocksWith(block, fold(word)); {
	case len(near) == 1 && fold(near[0]) == fold(word):
		return "did you mean " + Quoted(near) + "?"
	case len(blocks) > 0 && near != nil:
		return fmt.Sprintf("did you mean %s? '%s' belongs in %s", Quoted(near), fold(word), places(blocks))
	case len(blocks) > 0:
		return fmt.Sprintf("'%s' belongs in %s", fold(word), places(blocks))
	case near != nil:
		return strings.TrimPrefix(hint(word, words), ": ")
	}
	if text := product(word); text != "" {
		return text
	}
	if text := hint(word, words); text != "" {
		return strings.TrimPrefix(text, ": ")
	}
	if near := spelled(word, everyWord()); near != nil {
		return fmt.Sprintf("did you mean '%s'? It belongs in %s", near[0], places(blocksWith(block, near[0])))
	}
	if block == "" {
		return "write " + Quoted(words)
	}
	return "the options are in " + page(block)
}

// page is where the manual has the options of a block.
func page(block string) string {
	injector, injects := strings.CutPrefix(block, "inject ")
	switch {
	case block == handlerBlock:
		return "docs/caddyfile.md"
	case strings.HasPrefix(block, "login"), block == "session":
		return "docs/browsers.md"
	case injects:
		return "docs/injectors/" + injector + ".md"
	}
	return "docs/sources/" + block + ".md"
}

func everyWord() []string {
	var words []string
	for _, l := range grammar() {
		if l.block != "" {
			words = append(words, l.word)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// places names blocks. That of the handler is the one around all others.
func places(blocks []string) string {
	if len(blocks) == 1 && blocks[0] == handlerBlock {
		return "'kube_identity' itself, outside of this block"
	}
	return Quoted(blocks)
}

// run parses an option. If its parser refuses the arguments or a block, the error says what the
// grammar has: Caddy's own error, which parsers of this project and of others return, does not.
func run(d *caddyfile.Dispenser, parse Parser, options Options) error {
	here, given, block := Here(d), d.CountRemainingArgs(), opensBlock(d)
	err := parse(d)
	if err == nil {
		return nil
	}
	return explain(here, err, given, func(word string) string { return expected(blockOf(options), word, block) })
}

// expected is the line of the grammar for an option that is written with or without a block. The
// same word may be there in the other way elsewhere, as login is.
func expected(block, word string, withBlock bool) string {
	form := formOf(block, word)
	if form == "" || withBlock == strings.Contains(form, "{") {
		return form
	}
	if withBlock {
		form += "', without '{' and '}"
	}
	for _, l := range grammar() {
		if l.word == word && l.block != "" && l.block != block && withBlock == strings.Contains(l.form, "{") {
			return fmt.Sprintf("%s'; '%s' belongs in '%s", form, l.form, l.block)
		}
	}
	return form
}

// opensBlock says whether a block follows the arguments.
func opensBlock(d *caddyfile.Dispenser) bool {
	read, opens := 0, false
	for d.NextArg() {
		read++
	}
	if d.Next() {
		read, opens = read+1, d.Val() == "{"
	}
	for range read {
		d.Prev()
	}
	return opens
}

// explain completes an error of d.ArgErr, and of NoBlock.
func explain(here *caddyfile.Dispenser, err error, given int, formOf func(word string) string) error {
	word := here.Val()
	form := ""
	if isBlock := errors.Is(err, errBlock); isBlock || isArgErr(err) {
		form = formOf(word)
	}
	switch {
	case form == "":
		return err
	case errors.Is(err, errBlock):
		return here.Errf("parsing %s: unexpected block: write '%s'", word, form)
	case given == 0:
		return here.Errf("parsing %s: an argument is missing: write '%s'", word, form)
	case given == 1:
		return here.Errf("parsing %s: it has one argument: write '%s'", word, form)
	}
	return here.Errf("parsing %s: it has %d arguments: write '%s'", word, given, form)
}

// isArgErr says whether an error is that of d.ArgErr. It has no type of its own.
func isArgErr(err error) bool {
	return strings.HasPrefix(err.Error(), "wrong argument count or unexpected line ending after") ||
		strings.HasPrefix(err.Error(), "unexpected token '{', expecting argument")
}
