// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

const secret = "dash-secret: 100% / + ?&=" // needs the encoding of RFC 6749, section 2.3.1

func secretOf(text string) func() (string, error) {
	return func() (string, error) { return text, nil }
}

// attempt is one login. Its values are never in an error.
func attempt() codeflow.Attempt {
	return codeflow.Attempt{
		State: "state-value-1", Nonce: "nonce-value-1", Verifier: strings.Repeat("verifier-1", 5), RedirectURL: "https://dash.example/kube-identity/callback",
	}
}

// flow is a provider at a test issuer over plain http on this machine.
type flow struct {
	*codeflow.Provider
	login *testissuer.Login
}

func newFlow(t *testing.T, config testissuer.LoginConfig, changes ...func(*codeflow.Config)) *flow {
	t.Helper()
	if config.Client.ID == "" {
		config.Client = testissuer.Client{ID: "dash", Secret: secret}
	}
	login := testissuer.NewLogin(t, config)
	return &flow{provider(t, login, changes...), login}
}

func provider(t *testing.T, login *testissuer.Login, changes ...func(*codeflow.Config)) *codeflow.Provider {
	t.Helper()
	c := codeflow.Config{Issuer: login.URL, ClientID: "dash", Auth: codeflow.ClientAuth{Secret: secretOf(secret)}}
	for _, change := range changes {
		change(&c)
	}
	p, err := codeflow.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// browse is a browser that is sent to the issuer, which logs it in at once: it returns the
// parameters of the callback.
func (f *flow) browse(t *testing.T, a codeflow.Attempt) string {
	t.Helper()
	to, err := f.AuthorizationURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, found := strings.CutPrefix(response.Header.Get("Location"), a.RedirectURL+"?")
	if response.StatusCode != http.StatusFound || !found {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("the issuer answers %d, %s to %s: %q", response.StatusCode, response.Header.Get("Location"), to, text)
	}
	return back
}

// callback is browse, with what it brings back read.
func (f *flow) callback(t *testing.T, a codeflow.Attempt) *codeflow.Callback {
	t.Helper()
	c, err := codeflow.ParseCallback(f.browse(t, a))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tokens is a whole login.
func (f *flow) tokens(t *testing.T) *codeflow.Tokens {
	t.Helper()
	tokens, err := f.Exchange(t.Context(), f.callback(t, attempt()), attempt())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// wantError checks what an error means, what it says, and that it shows nothing that is secret.
func (f *flow) wantError(t *testing.T, err error, text string, sentinels ...error) {
	t.Helper()
	hidden := []string{"hidden"}
	if f.login != nil {
		hidden = append(hidden, f.login.Issued()...)
	}
	wantError(t, err, text, hidden, sentinels...)
}

func wantError(t *testing.T, err error, text string, hidden []string, sentinels ...error) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", text)
		return
	}
	if !strings.Contains(err.Error(), text) || !identity.IsRefusal(err) || len(err.Error()) > 500 {
		t.Errorf("%v, want %s", err, text)
	}
	for _, sentinel := range sentinels {
		if !errors.Is(err, sentinel) {
			t.Errorf("%v is not %v", err, sentinel)
		}
	}
	for _, other := range []error{codeflow.ErrGrantEnded, codeflow.ErrClientFault} {
		wanted := false
		for _, sentinel := range sentinels {
			wanted = wanted || errors.Is(sentinel, other)
		}
		if errors.Is(err, other) && !wanted {
			t.Errorf("%v is %v", err, other)
		}
	}
	wantHidden(t, err.Error(), hidden)
}

func wantHidden(t *testing.T, text string, hidden []string) {
	t.Helper()
	a := attempt()
	for _, value := range append(hidden, a.State, a.Nonce, a.Verifier, "100%", url.QueryEscape("100%"), "dash-secret") {
		if value != "" && strings.Contains(text, value) {
			t.Errorf("%q shows %q", text, value)
		}
	}
}
