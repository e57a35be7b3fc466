// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

func TestABindingRemembersTheLastAttemptsThatHaveEndedWell(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	binding := session.NewBinding(now)
	attempts := []*session.Attempt{session.NewAttempt(now), session.NewAttempt(now), session.NewAttempt(now), session.NewAttempt(now)}
	for _, attempt := range attempts {
		if binding.Done(attempt) {
			t.Error("an attempt under way is done")
		}
		before := binding
		binding = binding.WithDone(attempt)
		if !binding.Done(attempt) || before.Done(attempt) {
			t.Error("an attempt is not done, or in the binding before too")
		}
	}
	line, err := jar.SealBinding(binding.WithFinished(now), secure, now)
	if err != nil {
		t.Fatal(err)
	}
	b := make(browser)
	b.take(t, []string{line})
	opened, err := jar.OpenBinding(t.Context(), b.lines(), secure, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true, true} {
		if got := opened.Done(attempts[i]); got != want {
			t.Errorf("attempt %d: done %v, want %v", i, got, want)
		}
	}
	if kept, _ := opened.WithSession(); !kept.Done(attempts[3]) {
		t.Error("a session that was seen makes the binding forget")
	}
}
