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
func product(word string) string {
	folded, name := fold(word), ""
	for text := range strings.Lines(productsText) {
		text = strings.TrimSpace(text)
		words, means, found := strings.Cut(text, " | ")
		switch {
		case strings.HasPrefix(text, "["):
			name = strings.Trim(text, "[]")
		case found && slices.Contains(strings.Fields(words), folded):
			return name + "'s " + word + " " + means
		}
	}
	return ""
}
