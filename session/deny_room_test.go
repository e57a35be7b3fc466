// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

// A flood of logouts must neither fill the memory nor let a session live that was logged out.
func TestFloodOfLogoutsDeniesMoreAndNeverLess(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	l := NewDenyList(nil)
	l.limit = 1000
	facts := func(n int) Facts {
		created := now.Add(time.Duration(n) * time.Second)
		return Facts{ID: strconv.Itoa(n), Created: created, Ends: created.Add(time.Hour)}
	}
	deny := func(d Denial) {
		if err := l.Deny(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 500 {
		deny(DenyToken(strconv.Itoa(n), now.Add(time.Minute)))
	}
	for n := range 500 {
		deny(DenySession(strconv.Itoa(n), facts(n).Ends))
	}
	deny(DenySession("500", facts(500).Ends))
	if err := l.Check(Facts{ID: "other", Created: now, Ends: now.Add(30 * time.Second)}, now); err != nil {
		t.Errorf("tokens that were dropped deny sessions: %v", err)
	}
	for n := 501; n < 5000; n++ {
		deny(DenySession(strconv.Itoa(n), facts(n).Ends))
		if len(l.denials) > l.limit {
			t.Fatalf("%d denials", len(l.denials))
		}
	}
	for n := range 5000 {
		if err := l.Check(facts(n), now); !errors.Is(err, ErrDenied) {
			t.Fatalf("session %d: %v", n, err)
		}
	}
	if err := l.Check(facts(5000), now); err != nil {
		t.Errorf("a session that was not logged out, and ends last: %v", err)
	}
	// All of them end, and there is room again.
	l.mu.Lock()
	l.dropEndedLocked(now.Add(3 * time.Hour))
	if len(l.denials) != 0 {
		t.Errorf("%d denials", len(l.denials))
	}
	l.mu.Unlock()
}

// FuzzDenialName: a name that is read is the one that is written.
func FuzzDenialName(f *testing.F) {
	d := DenySubject("issuer", "subject", time.Unix(1, 0), time.Unix(2, 0))
	f.Add(d.name())
	d = DenySession("id", time.Unix(1790000000, 0))
	f.Add(d.name())
	f.Add("0" + d.name())
	f.Add("1-session--0")
	f.Fuzz(func(t *testing.T, name string) {
		if d, ok := parseDenial(name); ok && d.name() != name {
			t.Errorf("%q is written as %q", name, d.name())
		}
	})
}
