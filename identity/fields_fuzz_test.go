// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"math/rand/v2"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// foldedName folds a name byte by byte, as the documentation of Names describes it.
func foldedName(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		switch lower := c | 0x20; {
		case '0' <= c && c <= '9':
		case 'a' <= lower && lower <= 'z':
			folded[i] = lower
		default:
			folded[i] = '-'
		}
	}
	return string(folded)
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(foldedName(name), foldedName(prefix))
	}
	return foldedName(name) == foldedName(pattern)
}

// A set matches what one of its patterns matches, whatever else is in it: prefixes of each
// other, a name and the prefix of the same text, the same pattern twice.
func TestASetMatchesWhatOneOfItsPatternsMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	text := func(most int) string {
		letters := make([]byte, 1+random.IntN(most))
		for i := range letters {
			letters[i] = "aAbx-_.1"[random.IntN(8)]
		}
		return string(letters)
	}
	for range 20_000 {
		var patterns []string
		for range 1 + random.IntN(12) {
			pattern := "x" + text(3)
			if random.IntN(3) == 0 && !strings.HasSuffix(pattern, ".") {
				pattern += "*"
			}
			patterns = append(patterns, pattern)
		}
		set, err := identity.NewNames(patterns...)
		if err != nil {
			t.Fatal(err)
		}
		name := "X" + text(5)
		want := slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
		if got := set.Match(name); got != want {
			t.Fatalf("patterns %q, name %q: %v, want %v", patterns, name, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, pattern := range identity.BuiltinFields() {
		f.Add(pattern, strings.NewReplacer("-", "_", "*", "x").Replace(pattern))
	}
	f.Add("X-Remote-*", "x.remote")
	f.Add("_", "\xff")
	f.Add(strings.Repeat("x", 128), strings.Repeat("X", 129))
	f.Add(strings.Repeat("x", 128)+"*", strings.Repeat("X", 300))
	f.Add("a**", "a")
	f.Add("Te", "tE")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		set, err := identity.NewNames(pattern)
		if (err == nil) != (identity.CheckFieldPattern(pattern) == nil) {
			t.Fatalf("NewNames(%q) = %v", pattern, err)
		}
		if err != nil {
			return
		}
		if got, want := set.Match(name), matches(pattern, name); got != want {
			t.Errorf("pattern %q, name %q: %v, want %v", pattern, name, got, want)
		}
		whole := strings.TrimSuffix(pattern, "*")
		for _, spelling := range []string{
			whole, strings.ToUpper(whole), strings.ToLower(whole), strings.ReplaceAll(whole, "-", "_"),
			textproto.CanonicalMIMEHeaderKey(whole),
		} {
			if !set.Match(spelling) {
				t.Errorf("%q gets past %q", spelling, pattern)
			}
		}
		if _, found := identity.Overlap([]string{pattern}, []string{name}); matches(pattern, name) && !found {
			t.Errorf("%q and %q do not overlap", pattern, name)
		}
	})
}
