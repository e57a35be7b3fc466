// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import "testing"

func TestANameWritesNothingButItselfToATerminal(t *testing.T) {
	for name, want := range map[string]string{
		"alice@example.com":   "alice@example.com",
		"Zoë (東京) …":          "Zoë (東京) …",
		"a\x1b[31mb\r\nc\x7f": "a\uFFFD[31mb\uFFFD\uFFFDc\uFFFD",
		"a\u0085b\u202ec":     "a\uFFFDb\uFFFDc",
		"a\xffb\u200b":        "a\uFFFDb\uFFFD",
		"a\u00a0b\U000e0041":  "a\uFFFDb\uFFFD",
	} {
		if got := plain(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}
