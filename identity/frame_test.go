// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestListsThatDifferAreFramedDifferently(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{},
		{""},
		{"", ""},
		{"abc"},
		{"ab", "c"},
		{"a", "bc"},
		{"abc", ""},
		{"", "abc"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"a\x00\x00\x00\x00\x00\x00\x00\x01b"},
		{"a", "b"},
	} {
		text := string(identity.AppendFramed(nil, parts...))
		if other, there := seen[text]; there {
			t.Errorf("%q and %q have the same frame", parts, other)
		}
		seen[text] = parts
	}
}

func TestFramesAreAppended(t *testing.T) {
	text := identity.AppendFramed([]byte("before"), "a")
	if want := append([]byte("before"), 0, 0, 0, 0, 0, 0, 0, 1, 'a'); !bytes.Equal(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
}

// FuzzFrame cuts a text into parts, and reads the parts back from the output of AppendFramed.
func FuzzFrame(f *testing.F) {
	f.Add("abc", uint16(2), uint16(2))
	f.Add("abc", uint16(0), uint16(3))
	f.Add("", uint16(0), uint16(0))
	f.Add("a\x00\x00\x00\x00\x00\x00\x00\x01b", uint16(1), uint16(9))
	f.Fuzz(func(t *testing.T, text string, i, j uint16) {
		first := min(int(i), len(text))
		second := min(max(int(j), first), len(text))
		parts := []string{text[:first], text[first:second], text[second:]}
		if back := unframe(t, identity.AppendFramed(nil, parts...)); !slices.Equal(back, parts) {
			t.Errorf("%q reads %q", parts, back)
		}
	})
}

// unframe reads back what AppendFramed wrote.
func unframe(t *testing.T, text []byte) (parts []string) {
	t.Helper()
	for len(text) > 0 {
		if len(text) < 8 || uint64(len(text)-8) < binary.BigEndian.Uint64(text) {
			t.Fatalf("%q is cut short", text)
		}
		end := 8 + int(binary.BigEndian.Uint64(text))
		parts = append(parts, string(text[8:end]))
		text = text[end:]
	}
	return parts
}
