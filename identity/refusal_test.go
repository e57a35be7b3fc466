// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func sentinels() map[error]string {
	return map[error]string{
		identity.ErrAbsent:      "ErrAbsent",
		identity.ErrMalformed:   "ErrMalformed",
		identity.ErrRejected:    "ErrRejected",
		identity.ErrForbidden:   "ErrForbidden",
		identity.ErrUnavailable: "ErrUnavailable",
		identity.ErrMethod:      "ErrMethod",
		identity.ErrTooEarly:    "ErrTooEarly",
		identity.ErrInternal:    "ErrInternal",
	}
}

// wrapped lists the sentinels in the whole tree of err, one as often as it is there:
// an error with two of them would have two statuses.
func wrapped(err error) []error {
	if err == nil {
		return nil
	}
	if _, found := sentinels()[err]; found {
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
		tb.Errorf("not refused, want %s", sentinels()[want])
	case len(found) != 1:
		tb.Errorf("%q wraps %d sentinels, want exactly one", err, len(found))
	case found[0] != want: //nolint:errorlint // sentinels themselves
		tb.Errorf("%q wraps %s, want %s", err, sentinels()[found[0]], sentinels()[want])
	}
}

func TestBadIsACredentialThatWasPresentedAndProvesNothing(t *testing.T) {
	for sentinel, name := range sentinels() {
		want := name == "ErrMalformed" || name == "ErrRejected"
		if got := identity.Bad(fmt.Errorf("%w: because", sentinel)); got != want {
			t.Errorf("Bad(%s) is %v", name, got)
		}
	}
	if identity.Bad(nil) || identity.Bad(errors.New("else")) {
		t.Error("what is no refusal is bad")
	}
}

func TestExactIsOneSentinelAndNoMore(t *testing.T) {
	for sentinel, name := range sentinels() {
		if !identity.Exact(fmt.Errorf("%w: because", sentinel)) {
			t.Errorf("Exact(%s) is false", name)
		}
		for other, otherName := range sentinels() {
			if otherName != name && identity.Exact(fmt.Errorf("%w: %w", sentinel, other)) {
				t.Errorf("Exact(%s and %s) is true", name, otherName)
			}
		}
	}
	if identity.Exact(nil) || identity.Exact(errors.New("else")) {
		t.Error("what wraps none is exact")
	}
}

// A name out of a request goes into the log: it must neither fill it nor forge a line
// of it (CVE-2026-42507).
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
			t.Errorf("%s is more than a line", got)
		}
		if strings.Count(strings.ReplaceAll(strings.ReplaceAll(got, `\\`, ""), `\"`, ""), `"`) != 2 {
			t.Errorf("%s is not quoted", got)
		}
		if shown := fmt.Sprintf("%q", name); len(name) <= 64 && got != shown {
			t.Errorf("got %s, want %s", got, shown)
		}
	}
}
