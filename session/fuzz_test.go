// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// FuzzOpenCookie: no line of cookies opens except the one that was written, and all others are
// an absent credential. The name of a chunk in a line is written as "$".
func FuzzOpenCookie(f *testing.F) {
	now := time.Now()
	jar := newJar(f, session.JarConfig{Keys: fileKeys(f, randomLine())})
	store := session.NewStore(jar, newMemory())
	const name = "__Host-kube_session"
	b := login(f, jar, newSession(now, 450), secure, now)
	good := "$=" + b[name] + "; $_1=" + b[name+"_1"]
	for _, line := range []string{good, good + "; $_2=", "$=" + b[name], "$_1=x; $=" + b[name], "$=AAAAAAAA1AAAA", "$", "=$=x", "$_99=x;$_3=x", good + ";$=x", `$="x"`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		lines := []string{strings.ReplaceAll(line, "$", name)}
		s, err := jar.Open(t.Context(), lines, secure, now)
		if s != nil {
			// What opens has exactly the two chunks, as they were.
			if !strings.Contains(line, b[name]) || !strings.Contains(line, b[name+"_1"]) || err != nil {
				t.Errorf("it opens: %v", err)
			}
			return
		}
		if !errors.Is(err, identity.ErrAbsent) || !identity.IsRefusal(err) {
			t.Error(err)
		}
		if _, err := store.Open(t.Context(), lines, secure, now); !errors.Is(err, identity.ErrAbsent) {
			t.Error(err)
		}
		if binding, err := jar.OpenBinding(t.Context(), []string{strings.ReplaceAll(line, "$", "__Host-kube_login")}, secure, now); binding != nil || !errors.Is(err, identity.ErrAbsent) {
			t.Error(err)
		}
		_ = jar.End(lines, secure)
	})
}

// FuzzOpenState: no state opens except the one that was sealed.
func FuzzOpenState(f *testing.F) {
	now := time.Now()
	jar := newJar(f, session.JarConfig{Keys: fileKeys(f, randomLine())})
	binding, attempt := session.NewBinding(now), session.NewAttempt(now)
	attempt.Return = "/x"
	good, err := jar.SealState(attempt, binding, secure)
	if err != nil {
		f.Fatal(err)
	}
	for _, state := range []string{good, good + "A", good[1:], "", good + "\n", good + "=", strings.Repeat("A", 100)} {
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, state string) {
		a, verdict, err := jar.OpenState(t.Context(), state, binding, secure, now)
		if err != nil || (a != nil) != (state == good) || (verdict == session.StateGood) != (state == good) {
			t.Errorf("%q: %v, %v", state, verdict, err)
		}
	})
}
