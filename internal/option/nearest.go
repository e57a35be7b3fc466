// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"slices"
	"strings"
)

// shortList is how many words an error lists at most.
const shortList = 8

// fold is a word in the spelling of this project: users of other products write
// --Client-ID, and annotations have a domain before it.
func fold(word string) string {
	word = word[strings.LastIndexByte(word, '/')+1:]
	return strings.ToLower(strings.ReplaceAll(strings.TrimLeft(word, "-"), "-", "_"))
}

// Nearest returns the words that may be meant by one that is not among them: the same word in
// another spelling, or words of which it is a part, or those with the fewest other letters.
func Nearest(word string, words []string) []string {
	longer := sameOrLonger(word, words)
	if len(longer) == 1 && fold(longer[0]) == fold(word) {
		return longer
	}
	folded := fold(word)
	least, near := 1+len(folded)/5, []string(nil)
	for _, candidate := range words {
		switch d := distance(folded, fold(candidate)); {
		case weakens(candidate): // not by a guess
		case d < least:
			least, near = d, []string{candidate}
		case d == least && d < len(folded):
			near = append(near, candidate)
		}
	}
	return Union(near[:min(len(near), 2)], longer)
}

// sameOrLonger is the part of Nearest that is not a guess.
func sameOrLonger(word string, words []string) []string {
	folded := fold(word)
	var longer []string
	for _, candidate := range words {
		switch {
		case fold(candidate) == folded:
			return []string{candidate}
		case weakens(candidate):
		case len(folded) > 2 && strings.Contains("_"+candidate+"_", "_"+folded+"_"):
			longer = append(longer, candidate)
		}
	}
	return longer[:min(len(longer), 3)]
}

// spelled returns the word of which another is the spelling with one wrong letter, if there is
// exactly one. The words of other blocks are too many for more than that.
func spelled(word string, words []string) []string {
	folded := fold(word)
	near := slices.DeleteFunc(slices.Clone(words), func(candidate string) bool {
		return len(folded) < 4 || weakens(candidate) || distance(folded, candidate) > 1
	})
	if len(near) != 1 {
		return nil
	}
	return near
}

// weakens says whether an option trusts more, checks less or keeps what is otherwise removed. It is
// never offered for a word that is spelled otherwise: an operator may follow the offer.
func weakens(word string) bool {
	return strings.HasPrefix(word, "insecure_") || strings.HasPrefix(word, "keep_") || strings.HasSuffix(word, "_optional") ||
		slices.Contains([]string{
			"allow_reserved", "allow_partial_chain", "default_user", "no_credential", "none", "off", "on_failure",
			"pass_authorization", "trusted_placeholder",
		}, word)
}

// distance counts the letters by which two words differ: one more, one fewer, another one, or
// two in the other order.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// hint says what to write in place of a word: the nearest ones, and all if they are few.
func hint(word string, words []string) string {
	if text := product(word); text != "" && sameOrLonger(word, words) == nil {
		return ": " + text
	}
	near, isShort := Nearest(word, words), len(words) <= shortList
	others := slices.DeleteFunc(slices.Clone(words), func(word string) bool { return slices.Contains(near, word) || weakens(word) })
	switch {
	case near != nil && isShort && len(others) > 0:
		return ": did you mean " + Quoted(near) + "? Otherwise write " + Quoted(others)
	case near != nil:
		return ": did you mean " + Quoted(near) + "?"
	case isShort && len(others) > 0:
		return ": write " + Quoted(others)
	}
	return ""
}

// Quoted joins words as a sentence does: 'a', 'b' or 'c'.
func Quoted(words []string) string {
	words = slices.Clone(words)
	for i, word := range words {
		words[i] = "'" + word + "'"
	}
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return strings.Join(words, "")
}
