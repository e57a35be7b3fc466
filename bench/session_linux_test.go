// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A comparison means something only if both requests arrive as the same.
func TestASessionIsForwardedAsItsTokenIs(t *testing.T) {
	l := newTestLab(t, options{mode: sessionMode, sources: 1, requests: 8, connections: 2, pairs: 2})
	received := make(chan *http.Request, 1)
	l.seen = func(r *http.Request) { received <- r }
	subjects, err := l.startSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stopAll(subjects)
	var seen []string
	for _, s := range subjects {
		if err := s.send(1); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := (<-received).Header.WriteSubset(&text, map[string]bool{"X-Forwarded-For": true}); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, text.String())
	}
	if seen[0] != seen[1] || strings.Contains(subjects[1].request, "Authorization") || !strings.Contains(subjects[1].request, "kube_session=") {
		t.Errorf("with a token\n%s, with a session\n%s", seen[0], seen[1])
	}
}

func TestAFloodOfPagesWithoutASession(t *testing.T) {
	newTestLab(t, options{}) // the binary
	found, err := (&loginFlood{pages: 5000, connections: 64, calm: time.Second}).run(t.Context(), t.TempDir(), yardsticks.binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := found.broken(); err != nil {
		t.Errorf("%v\n%s", err, found)
	}
}
