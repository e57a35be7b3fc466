// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"slices"
	"testing"
)

// FuzzKey cuts two texts into parts. The keys are equal exactly if the parts are.
func FuzzKey(f *testing.F) {
	c := New(Config{})
	f.Cleanup(c.Close)
	f.Add("abc", uint16(2), uint16(2), "abc", uint16(1), uint16(1))
	f.Add("abc", uint16(0), uint16(3), "abc", uint16(0), uint16(3))
	f.Add("", uint16(0), uint16(0), "\x00\x00\x00\x00\x00\x00\x00\x00", uint16(0), uint16(8))
	f.Add("a\x00\x00\x00\x00\x00\x00\x00\x01b", uint16(1), uint16(9), "ab", uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, one string, i, j uint16, two string, k, l uint16) {
		a, b := cut(one, i, j), cut(two, k, l)
		if (c.Key(a...) == c.Key(b...)) != slices.Equal(a, b) {
			t.Errorf("the keys of %q and %q are equal: %v", a, b, c.Key(a...) == c.Key(b...))
		}
	})
}

// cut cuts a text at one or two places; the text between two places may be left out.
func cut(text string, i, j uint16) []string {
	first := min(int(i), len(text))
	second := min(max(int(j), first), len(text))
	parts := []string{text[:first], text[first:second]}
	if second < len(text) {
		parts = append(parts, text[second:])
	}
	return parts
}
