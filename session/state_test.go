// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// started is a login that has begun in a browser.
type started struct {
	jar     *session.Jar
	browser browser
	binding *session.Binding
	attempt *session.Attempt
	state   string
}

func start(t *testing.T, jar *session.Jar, now time.Time) started {
	t.Helper()
	s := started{jar: jar, browser: browser{}, binding: session.NewBinding(now), attempt: session.NewAttempt(now)}
	s.attempt.Source, s.attempt.Origin, s.attempt.Return, s.attempt.Restarts = "oidc", "https://a.example", "/x?y=z", 1
	s.seal(t, now)
	return s
}

func (s *started) seal(t *testing.T, now time.Time) {
	t.Helper()
	line, err := s.jar.SealBinding(s.binding, secure, now)
	if err != nil {
		t.Fatal(err)
	}
	s.browser.take(t, []string{line})
	if s.state, err = s.jar.SealState(s.attempt, s.binding, secure); err != nil {
		t.Fatal(err)
	}
}

func TestVerdictsOnAState(t *testing.T) {
	now := time.Now()
	keys := fileKeys(t)
	jar := newJar(t, session.JarConfig{Keys: keys})
	mine, victim := start(t, jar, now), start(t, jar, now)
	stranger := start(t, newJar(t, session.JarConfig{Keys: fileKeys(t, secretLine(1))}), now)
	for name, test := range map[string]struct {
		state   string
		binding *session.Binding
		after   time.Duration
		want    session.Verdict
		attempt *session.Attempt
	}{
		"of this browser":                         {mine.state, mine.binding, 0, session.StateGood, mine.attempt},
		"shortly before it is too old":            {mine.state, mine.binding, 9 * time.Minute, session.StateGood, mine.attempt},
		"after ten minutes":                       {mine.state, mine.binding, 10*time.Minute + time.Second, session.StateOld, mine.attempt},
		"from the future":                         {mine.state, mine.binding, -time.Hour, session.StateOld, mine.attempt},
		"an attacker's in the browser of another": {mine.state, victim.binding, 0, session.StateOtherBrowser, mine.attempt},
		"in a browser without a cookie":           {mine.state, nil, 0, session.StateOtherBrowser, mine.attempt},
		"old, and of another browser":             {mine.state, victim.binding, time.Hour, session.StateOtherBrowser, mine.attempt},
		"sealed with another key":                 {stranger.state, stranger.binding, 0, session.StateUnknownKey, nil},
		"empty":                                   {"", mine.binding, 0, session.StateUnreadable, nil},
		"not base64":                              {mine.state + "!", mine.binding, 0, session.StateUnreadable, nil},
		"with a line end":                         {mine.state[:40] + "\n" + mine.state[40:], mine.binding, 0, session.StateUnreadable, nil},
		"cut off":                                 {mine.state[:len(mine.state)-4], mine.binding, 0, session.StateUnreadable, nil},
		"longer":                                  {mine.state + "AAAA", mine.binding, 0, session.StateUnreadable, nil},
		"of 8 KiB":                                {strings.Repeat("A", 8<<10), mine.binding, 0, session.StateUnreadable, nil},
		"of two states":                           {mine.state[:60] + victim.state[60:], mine.binding, 0, session.StateUnreadable, nil},
	} {
		attempt, verdict, err := jar.OpenState(t.Context(), test.state, test.binding, secure, now.Add(test.after))
		if verdict != test.want || err != nil || !sameAttempt(attempt, test.attempt) {
			t.Errorf("%s: %v (%v), want %v", name, verdict, err, test.want)
		}
	}
}

// sameAttempt compares by the second.
func sameAttempt(a, b *session.Attempt) bool {
	if a == nil || b == nil {
		return a == b
	}
	one, two := *a, *b
	one.Started, two.Started = one.Started.Local().Round(0), two.Started.Local().Round(0)
	return reflect.DeepEqual(one, two)
}

func TestEveryFlippedBitMakesTheStateUnreadable(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	s := start(t, jar, now)
	state := []byte(s.state)
	for i := range state {
		for bit := range 8 {
			state[i] ^= 1 << bit
			a, verdict, err := jar.OpenState(t.Context(), string(state), s.binding, secure, now)
			if a != nil || err != nil || verdict != session.StateUnreadable && verdict != session.StateUnknownKey {
				t.Fatalf("byte %d, bit %d: %v, %v", i, bit, verdict, err)
			}
			state[i] ^= 1 << bit
		}
	}
	binding := []byte(s.browser["__Host-kube_login"])
	for i := range binding {
		for bit := range 8 {
			binding[i] ^= 1 << bit
			b, err := jar.OpenBinding(t.Context(), []string{"__Host-kube_login=" + string(binding)}, secure, now)
			if b != nil || !errors.Is(err, session.ErrUnreadable) && !errors.Is(err, session.ErrUnknownKey) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			binding[i] ^= 1 << bit
		}
	}
}

// The largest state still fits into a URL, and a larger one is not made.
func TestStateHasALimit(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	s := start(t, jar, now)
	s.attempt.Return = "/" + strings.Repeat("x", session.MaxReturn-1)
	s.seal(t, now)
	if got, verdict, err := jar.OpenState(t.Context(), s.state, s.binding, secure, now); verdict != session.StateGood || err != nil || got.Return != s.attempt.Return {
		t.Errorf("%v, %v", verdict, err)
	}
	for name, change := range map[string]func(a *session.Attempt){
		"a longer path":    func(a *session.Attempt) { a.Return += "x" },
		"a long origin":    func(a *session.Attempt) { a.Origin = strings.Repeat("x", 4000) },
		"another id":       func(a *session.Attempt) { a.ID = "id" },
		"three restarts":   func(a *session.Attempt) { a.Restarts = 3 },
		"restarts below 0": func(a *session.Attempt) { a.Restarts = -1 },
	} {
		a := *s.attempt
		change(&a)
		if _, err := jar.SealState(&a, s.binding, secure); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

// RFC 7636, section 4.1.
func TestVerifierAndNonceAreOfOneAttemptInOneBrowser(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	one, two := start(t, jar, now), start(t, jar, now)
	again, err := jar.OpenBinding(t.Context(), one.browser.lines(), secure, now)
	if err != nil {
		t.Fatal(err)
	}
	attempt, _, err := jar.OpenState(t.Context(), one.state, again, secure, now)
	if err != nil {
		t.Fatal(err)
	}
	if again.Verifier(attempt) != one.binding.Verifier(one.attempt) || again.Nonce(attempt) != one.binding.Nonce(one.attempt) {
		t.Error("the callback has other values")
	}
	values := map[string]bool{}
	for _, b := range []*session.Binding{one.binding, two.binding} {
		for _, a := range []*session.Attempt{one.attempt, two.attempt} {
			for _, value := range []string{b.Verifier(a), b.Nonce(a)} {
				if !regexp.MustCompile(`^[A-Za-z0-9._~-]{43}$`).MatchString(value) {
					t.Errorf("%q", value)
				}
				values[value] = true
			}
		}
	}
	if len(values) != 8 {
		t.Errorf("%d of 8 values differ", len(values))
	}
}

func TestBindingOfABrowser(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	s := start(t, jar, now)
	value := s.browser["__Host-kube_login"]
	for name, test := range map[string]struct {
		lines []string
		after time.Duration
		want  error
	}{
		"as it came":         {s.browser.lines(), 59 * time.Minute, nil},
		"after an hour":      {s.browser.lines(), time.Hour, session.ErrExpired},
		"from the future":    {s.browser.lines(), -time.Hour, session.ErrExpired},
		"none":               {nil, 0, session.ErrNoCookie},
		"twice":              {append(s.browser.lines(), s.browser.lines()...), 0, session.ErrDuplicate},
		"without a prefix":   {[]string{"kube_login=" + value}, 0, session.ErrNoCookie},
		"in another case":    {[]string{"__host-kube_login=" + value}, 0, session.ErrNoCookie},
		"nameless":           {[]string{"=__Host-kube_login=" + value}, 0, session.ErrNoCookie},
		"damaged":            {[]string{"__Host-kube_login=" + value[:len(value)-4]}, 0, session.ErrUnreadable},
		"beside one planted": {append(s.browser.lines(), "kube_login=x"), 0, nil},
	} {
		b, err := jar.OpenBinding(t.Context(), test.lines, secure, now.Add(test.after))
		if !errors.Is(err, test.want) || (b == nil) != (test.want != nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	// It is renewed at each start, and stays the same for the other tabs.
	line, err := jar.SealBinding(s.binding, secure, now.Add(59*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s.browser.take(t, []string{line})
	b, err := jar.OpenBinding(t.Context(), s.browser.lines(), secure, now.Add(118*time.Minute))
	if err != nil || b.Nonce(s.attempt) != s.binding.Nonce(s.attempt) {
		t.Errorf("the binding was not renewed: %v", err)
	}
}

// Cookies are blocked, keys differ, a clock is wrong: the third login in a minute ends on a page.
func TestLoopIsSeen(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	jar := newJar(t, session.JarConfig{})
	finish := func(b *session.Binding, at time.Time) *session.Binding {
		line, err := jar.SealBinding(b.WithFinished(at), secure, at)
		if err != nil {
			t.Fatal(err)
		}
		jarred := browser{}
		jarred.take(t, []string{line})
		if b, err = jar.OpenBinding(t.Context(), jarred.lines(), secure, at); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := session.NewBinding(now)
	for i, want := range []bool{false, false, true, true} {
		at := now.Add(time.Duration(i) * 10 * time.Second)
		if b = finish(b, at); b.Looping(at) != want {
			t.Errorf("login %d: %v", i+1, !want)
		}
	}
	if b.Looping(now.Add(time.Minute)) {
		t.Error("it still loops a minute later")
	}
	if b = finish(b, now.Add(2*time.Minute)); b.Looping(now.Add(2 * time.Minute)) {
		t.Error("logins of another minute are counted")
	}
	seen, changed := b.WithSession()
	if !changed || seen.Looping(now) {
		t.Error("a session that was seen does not end the count")
	}
	if _, changed = seen.WithSession(); changed {
		t.Error("a count of zero changes")
	}
}
