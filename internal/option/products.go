// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	_ "embed" // the table
	"slices"
	"strings"
)

//go:embed products.txt
var productsText string

// product says what a word of another product is called here, or what to do instead; it is
// empty for other words. The table is read when there is an error to explain, and not kept.
func product(word string) string { return entry(word, false) }

// productValue is product for a word that is the value of an option.
func productValue(value string) string { return entry(value, true) }

func entry(word string, isValue bool) string {
	folded, name, isOther := fold(word), "", false
	for text := range strings.Lines(productsText) {
		text = strings.TrimSpace(text)
		words, means, found := strings.Cut(text, " | ")
		switch {
		case strings.HasPrefix(text, "["):
			name = strings.Trim(text, "[]")
			var ofValues bool
			name, ofValues = strings.CutSuffix(name, "'s values")
			isOther = strings.HasPrefix(name, "in ") || ofValues && !isValue
		case found && !isOther && slices.Contains(strings.Fields(words), folded):
			return name + "'s " + word + " " + means
		}
	}
	return ""
}

// advice says what to do about a word of which the nearest option of a block, or the one of another
// block, is not what is meant. Its entries are those of the sections that name the block.
func advice(block, word string) string {
	folded, name, here := fold(word), strings.ReplaceAll(block, "' of '", " of "), false
	for text := range strings.Lines(productsText) {
		text = strings.TrimSpace(text)
		words, means, found := strings.Cut(text, " | ")
		switch {
		case strings.HasPrefix(text, "["):
			blocks, isAdvice := strings.CutPrefix(strings.Trim(text, "[]"), "in ")
			here = isAdvice && (blocks == "any block" || slices.Contains(strings.Split(blocks, ", "), name))
		case found && here && slices.Contains(strings.Fields(words), folded):
			if verb, _, _ := strings.Cut(means, " "); slices.Contains([]string{"belongs", "holds", "is"}, verb) {
				return "'" + word + "' " + means
			}
			return means
		}
	}
	return ""
}
