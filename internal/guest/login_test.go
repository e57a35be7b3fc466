// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func TestANameOfALoginIsASegmentOfAPath(t *testing.T) {
	for name, segment := range map[string]string{
		"Staff": "Staff", "Guests of ours": "Guests-of-ours", "a": "a", "v1.2_b-C": "v1.2_b-C", "7": "7", "a..b": "a..b",
		strings.Repeat("a", 40): strings.Repeat("a", 40),
	} {
		if err := guest.CheckLoginName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got := (&guest.Login{Name: name}).Segment(); got != segment {
			t.Errorf("%q becomes %q, want %q", name, got, segment)
		}
	}
	for _, name := range []string{
		"", " ", " a", "a ", ".", "..", ".a", "a.", "-a", "_", "a/b", `a\b`, "a%2fb", "a?b", "a#b", "a&b", "<b>", `a"b`, "a'b", "ä", "a\tb", "a\nb", "a{b}", "*",
		strings.Repeat("a", 41),
	} {
		if err := guest.CheckLoginName(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
