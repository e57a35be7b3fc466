// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	_ "embed" // the grammar
	"slices"
	"strings"
)

// grammarText has the grammars in the comments of the parsers. A test of the root package
// writes it and compares it.
//
//go:embed grammar.txt
var grammarText string

// line is one option of the grammar, in the block that it belongs to.
type line struct {
	block string // such as "oidc", or "login' of 'oidc"; empty for the first line of a grammar
	word  string
	form  string // the whole line, such as "username_claim <claim> [<prefix>]"
}

const handlerBlock = "kube_identity"

// grammar reads the lines of the grammar. It is called when there is an error to explain, and its
// result is not kept.
func grammar() []line {
	var lines []line
	var blocks []string // those that are open
	for text := range strings.Lines(grammarText) {
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0 || fields[0] == "#":
			continue
		case fields[0][0] == '}':
			blocks = blocks[:len(blocks)-1]
			continue
		}
		block, name := "", literals(fields)
		if len(blocks) > 0 {
			block, name = blocks[len(blocks)-1], fields[0]
		}
		opens := strings.HasSuffix(fields[len(fields)-1], "{")
		form := strings.Join(fields, " ")
		switch {
		case strings.HasSuffix(form, "[{"):
			form += " ... }]"
		case opens:
			form += " ... }"
		}
		for word := range strings.SplitSeq(name, "|") {
			lines = append(lines, line{block, word, word + strings.TrimPrefix(form, name)})
		}
		if opens {
			blocks = append(blocks, blockName(name, block))
		}
	}
	return lines
}

// literals are the first words of a line up to an argument: "inject impersonation".
func literals(fields []string) string {
	n := slices.IndexFunc(fields, func(field string) bool { return strings.ContainsAny(field[:1], "<[{") })
	if n < 0 {
		n = len(fields)
	}
	return strings.Join(fields[:n], " ")
}

func blockName(name, block string) string {
	if block == "" || block == handlerBlock {
		return name
	}
	return name + "' of '" + block
}

// blockOf returns the block of the grammar that these options are: the largest one of which
// they have every word. It is empty for options of another module.
func blockOf(options Options) string {
	sizes, lacks := make(map[string]int), make(map[string]bool)
	for _, l := range grammar() {
		sizes[l.block]++
		lacks[l.block] = lacks[l.block] || options[l.word] == nil
	}
	found := ""
	for block, size := range sizes {
		if block != "" && !lacks[block] && (found == "" || size > sizes[found] || size == sizes[found] && block < found) {
			found = block
		}
	}
	return found
}

// formOf returns the line of the grammar for an option. If a word has several, it is the last one.
// For a module there is the one that is mostly meant.
func formOf(block, word string) string {
	form := ""
	for _, l := range grammar() {
		if l.block == block && block != "" && l.word == word {
			form = l.form
		}
	}
	return strings.NewReplacer("<ip_source_module> ...", "static <range>...", "<ca_pool_module> ...", "file <pem_file>...").Replace(form)
}

// optionOf returns the option of a block that has a word among its values.
func optionOf(block, value string) string {
	for _, l := range grammar() {
		_, values, _ := strings.Cut(l.form, " ")
		if l.block == block && block != "" && slices.Contains(strings.FieldsFunc(values, func(r rune) bool { return strings.ContainsRune(" |.", r) }), value) {
			return l.word
		}
	}
	return ""
}

// headOf returns the first line of the grammar of a module.
func headOf(module string) string {
	for _, l := range grammar() {
		if l.block == "" && (l.word == module || strings.HasSuffix(l.word, " "+module)) {
			return l.form
		}
	}
	return ""
}

// blocksWith returns the blocks that have an option: those within a block, or all others.
func blocksWith(block, word string) []string {
	var within, others []string
	for _, l := range grammar() {
		switch {
		case l.word != word || l.block == "" || l.block == block:
		case strings.HasSuffix(l.block, "' of '"+block):
			within = append(within, l.block)
		default:
			others = append(others, l.block)
		}
	}
	if within != nil {
		return within
	}
	return slices.Compact(others)
}
