// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

var errDown = errors.New("no route to the API server")

// tokenServer plays the API server. It answers the first request with answers[0] and so
// on, and all later ones with the last.
type tokenServer struct {
	mu           sync.Mutex
	answers      []tokenAnswer
	times        []time.Time
	flying, most int // requests now, and at a time
}

type tokenAnswer struct {
	life  time.Duration // of a token called token-1, token-2 and so on
	after time.Duration // until it comes, unless the context ends before
	err   error
}

func (s *tokenServer) request(ctx context.Context) (string, time.Time, error) {
	number, answer := s.begin()
	defer s.end()
	select {
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	case <-time.After(answer.after):
	}
	return fmt.Sprintf("token-%d", number), time.Now().Add(answer.life), answer.err
}

func (s *tokenServer) begin() (int, tokenAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying++
	s.most, s.times = max(s.most, s.flying), append(s.times, time.Now())
	return len(s.times), s.answers[min(len(s.times), len(s.answers))-1]
}

func (s *tokenServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
}

// change replaces the answer to all later requests.
func (s *tokenServer) change(answer tokenAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = []tokenAnswer{answer}
}

// asked returns the times of the requests.
func (s *tokenServer) asked() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times)
}

// tokenLog records the calls of an account's callbacks.
type tokenLog struct {
	mu       sync.Mutex
	text     []string
	times    []time.Time
	expiries []time.Time
}

func (l *tokenLog) log(message string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		message += ": " + err.Error()
	}
	l.text, l.times = append(l.text, message), append(l.times, time.Now())
}

func (l *tokenLog) renew(expires time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expiries = append(l.expiries, expires)
}

func (l *tokenLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}

func (l *tokenLog) at() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.times)
}

func (l *tokenLog) renewed() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.expiries)
}

// count returns how many lines contain a text.
func (l *tokenLog) count(text string) (count int) {
	for _, line := range l.lines() {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

// started returns an account in a bubble. If Close left a goroutine running, the bubble
// would fail as deadlocked.
func started(t *testing.T, request impersonation.Requester) (*impersonation.ServiceAccount, *tokenLog) {
	t.Helper()
	log := new(tokenLog)
	account := &impersonation.ServiceAccount{
		Request: request, OnProblem: log.log,
		OnRenewal: log.renew,
	}
	account.Start()
	return account, log
}

// wantAccount wants a token, or a refusal with a reason if the token is empty, both at
// once.
func wantAccount(t *testing.T, account *impersonation.ServiceAccount, token, reason string) {
	t.Helper()
	begun := time.Now()
	got, err := account.Authorization(t.Context())
	if time.Since(begun) > 0 {
		t.Errorf("waited for %s", time.Since(begun))
	}
	if token != "" {
		if err != nil || got != "Bearer "+token {
			t.Errorf("got %q, %v; want %q", got, err, token)
		}
		return
	}
	wantOnly(t, err, identity.ErrUnavailable)
	if got != "" || err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %q, %v; want an error with %q", got, err, reason)
	}
}
