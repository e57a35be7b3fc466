// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// wrapped lists the sentinels in the whole tree of err, as often as each is there: an error
// with two of them would have two statuses.
func wrapped(err error) []error {
	if err == nil {
		return nil
	}
	if slices.Contains(identity.Sentinels(), err) {
		return []error{err}
	}
	var found []error
	switch err := err.(type) { //nolint:errorlint // the tree itself is walked here
	case interface{ Unwrap() error }:
		found = wrapped(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			found = append(found, wrapped(e)...)
		}
	}
	return found
}

// wantOnly fails unless err wraps want and no other sentinel, or is nil as want is.
func wantOnly(tb testing.TB, err, want error) {
	tb.Helper()
	found := wrapped(err)
	switch {
	case want == nil && err == nil:
	case want == nil:
		tb.Errorf("refused: %v", err)
	case err == nil:
		tb.Errorf("not refused, want %v", want)
	case len(found) != 1:
		tb.Errorf("%q wraps %d sentinels, want exactly one", err, len(found))
	case found[0] != want: //nolint:errorlint // sentinels themselves
		tb.Errorf("%q wraps %q, want %q", err, found[0], want)
	}
}

// An error that wraps a sentinel outside of the list would not count as a refusal.
func TestSentinelsAreComplete(t *testing.T) {
	source, err := os.ReadFile("refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\tErr\w+ += errors\.New`).FindAll(source, -1)
	if got := len(identity.Sentinels()); got != len(declared) {
		t.Errorf("%d sentinels, %d are declared", got, len(declared))
	}
}

func TestSentinelsAreDistinct(t *testing.T) {
	sentinels := identity.Sentinels()
	for i, sentinel := range sentinels {
		if slices.Contains(sentinels[:i], sentinel) || slices.ContainsFunc(sentinels[:i], func(other error) bool {
			return other.Error() == sentinel.Error()
		}) {
			t.Errorf("%q is in the list twice", sentinel)
		}
	}
	sentinels[0] = nil
	if identity.Sentinels()[0] == nil {
		t.Error("the list can be changed from outside")
	}
}

func TestABadCredentialWasPresentedAndProvesNothing(t *testing.T) {
	for _, sentinel := range identity.Sentinels() {
		want := errors.Is(sentinel, identity.ErrMalformed) || errors.Is(sentinel, identity.ErrRejected)
		if got := identity.IsBadCredential(fmt.Errorf("%w: because", sentinel)); got != want {
			t.Errorf("%q: %v, want %v", sentinel, got, want)
		}
	}
	if identity.IsBadCredential(nil) || identity.IsBadCredential(errors.New("else")) {
		t.Error("an error that is not a refusal is a bad credential")
	}
}

func TestARefusalWrapsExactlyOneSentinel(t *testing.T) {
	sentinels := identity.Sentinels()
	for i, sentinel := range sentinels {
		if !identity.IsRefusal(fmt.Errorf("%w: because", sentinel)) {
			t.Errorf("%q is not a refusal", sentinel)
		}
		for _, other := range slices.Delete(slices.Clone(sentinels), i, i+1) {
			if identity.IsRefusal(fmt.Errorf("%w: %w", sentinel, other)) {
				t.Errorf("%q and %q together are a refusal", sentinel, other)
			}
		}
	}
	if identity.IsRefusal(nil) || identity.IsRefusal(errors.New("else")) {
		t.Error("an error without a sentinel is a refusal")
	}
}

// A name from a request is logged: it must neither fill the log nor forge a line of it
// (CVE-2026-42507).
func TestQuoteIsBoundedAndOnOneLine(t *testing.T) {
	for _, name := range []string{
		"", "alice", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("ü", 5000),
		strings.Repeat("\x00", 1<<20), "a\nlevel=info msg=\"alice logged in\"", "a\u2028b", "a\x1b[2Jb",
		strings.Repeat("\U000e0001", 100), "\xff\xfe", strings.Repeat("x", 63) + "ü",
	} {
		got := identity.Quote(name)
		if len(got) > 64*4+40 {
			t.Errorf("%d bytes become %d", len(name), len(got))
		}
		if strings.ContainsAny(got, "\n\r\x00\x1b\u2028\u2029") {
			t.Errorf("%s is more than one line", got)
		}
		if strings.Count(strings.ReplaceAll(strings.ReplaceAll(got, `\\`, ""), `\"`, ""), `"`) != 2 {
			t.Errorf("%s is not quoted", got)
		}
		if shown := fmt.Sprintf("%q", name); len(name) <= 64 && got != shown {
			t.Errorf("got %s, want %s", got, shown)
		}
	}
}
