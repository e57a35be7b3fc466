// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeAnswer is an answer of the fake issuer, after a delay.
type fakeAnswer struct {
	after  time.Duration
	err    error
	status int // 0: 200
	header http.Header
	body   string
}

// fakeIssuer is a network with one issuer, whose clock is that of the synctest bubble.
type fakeIssuer struct {
	mu      sync.Mutex
	answers map[string]fakeAnswer // by URL
	asked   []string
	flying  int
}

// newFakeIssuer returns an issuer that has those keys.
func newFakeIssuer(tb testing.TB, keys ...any) *fakeIssuer {
	tb.Helper()
	issuer := &fakeIssuer{answers: map[string]fakeAnswer{
		keysConfig: {body: fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"scopes_supported":["openid"]}`, keysIssuer, keysURL)},
	}}
	issuer.publish(tb, keys...)
	return issuer
}

func (i *fakeIssuer) publish(tb testing.TB, keys ...any) {
	tb.Helper()
	i.answer(keysURL, fakeAnswer{body: string(jwks(tb, keys...))})
}

func (i *fakeIssuer) answer(url string, answer fakeAnswer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[url] = answer
}

// takeAsked returns the URLs that were asked for since the last call.
func (i *fakeIssuer) takeAsked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked := i.asked
	i.asked = nil
	return asked
}

// wantAsked checks the URLs that were asked for since the last call, once all goroutines are
// blocked.
func (i *fakeIssuer) wantAsked(tb testing.TB, want ...string) {
	tb.Helper()
	synctest.Wait()
	if asked := i.takeAsked(); !slices.Equal(asked, want) {
		tb.Errorf("asked for %q, want %q", asked, want)
	}
}

func (i *fakeIssuer) RoundTrip(request *http.Request) (*http.Response, error) {
	url := request.URL.String()
	i.mu.Lock()
	answer, there := i.answers[url]
	i.asked = append(i.asked, url)
	i.flying++
	alone := i.flying == 1
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		i.flying--
		i.mu.Unlock()
	}()
	select {
	case <-time.After(answer.after):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	switch {
	case !alone:
		return nil, errors.New("two fetches at a time")
	case !there:
		answer.status = http.StatusNotFound
	case answer.err != nil:
		return nil, answer.err
	case answer.status == 0:
		answer.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: answer.status, Header: answer.header, Body: io.NopCloser(strings.NewReader(answer.body)), Request: request,
	}, nil
}

// remoteKeys returns keys that are closed with the test.
func (i *fakeIssuer) remoteKeys(tb testing.TB, logged *logLines) *RemoteKeys {
	tb.Helper()
	config := RemoteConfig{Issuer: keysIssuer, Transport: i}
	if logged != nil {
		config.OnProblem = logged.log
	}
	keys, err := NewRemoteKeys(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(keys.Close)
	return keys
}

// logLines are what was logged.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) log(message string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := message
	if err != nil {
		line += ": " + err.Error()
	}
	l.lines = append(l.lines, line)
}

// want checks the beginnings of the lines that were logged since the last call.
func (l *logLines) want(tb testing.TB, want ...string) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.EqualFunc(l.lines, want, strings.HasPrefix) {
		tb.Errorf("logged %q, want %q", l.lines, want)
	}
	l.lines = nil
}

// wantToken checks a token that the key pair of that name has signed with its kid.
func wantToken(tb testing.TB, keys Keys, name string, wants ...error) {
	tb.Helper()
	wantTokenBy(tb, keys, name, name, wants...)
}

func wantTokenBy(tb testing.TB, keys Keys, signer, kid string, wants ...error) {
	tb.Helper()
	algorithm := map[string]string{"rs": "RS256", "p2": "ES256", "ed": "EdDSA"}[signer[:2]]
	token, header := signedBy(tb, signer, algorithm, kid)
	payload, err := keys.VerifySignature(tb.Context(), token, header)
	wantKeyError(tb, token, payload, err, wants...)
}

// wantAtOnce fails when f takes time.
func wantAtOnce(tb testing.TB, f func()) {
	tb.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took != 0 {
		tb.Errorf("took %v", took)
	}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("an unexpected panic") }
