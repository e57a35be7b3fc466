// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// go-oidc is a second opinion about what this package accepts, and about the issuer of these
// tests.
func TestGoOIDCAgrees(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	issuer, err := gooidc.NewProvider(t.Context(), f.login.URL)
	if err != nil {
		t.Fatal(err)
	}
	tokens := f.tokens(t)
	verifier := issuer.Verifier(&gooidc.Config{ClientID: "dash"})
	theirs, err := verifier.Verify(t.Context(), tokens.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := f.CheckIDToken(tokens.IDToken, attempt().Nonce, tokens.AccessToken)
	if err != nil || theirs.VerifyAccessToken(tokens.AccessToken) != nil || theirs.Nonce != attempt().Nonce || theirs.Subject != ours.Subject {
		t.Errorf("%+v, %v, and theirs %+v", ours, err, theirs)
	}
	logout, err := verifier.VerifyLogout(t.Context(), f.login.LogoutToken(map[string]any{"sid": ours.SessionID}))
	if err != nil || logout.SessionID != ours.SessionID {
		t.Errorf("%+v, %v", logout, err)
	}
	known, err := f.Metadata(t.Context())
	if endpoint := issuer.Endpoint(); err != nil || endpoint.AuthURL != known.AuthorizationURL || endpoint.TokenURL != known.TokenURL {
		t.Errorf("%+v, %v, and theirs %+v", known, err, endpoint)
	}
}

// The issuer is down when it is needed: nothing is lost, and each step says so.
func TestIssuerThatIsDownAtEachStep(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	c, tokens := f.callback(t, attempt()), f.tokens(t)
	withoutIssuer, err := codeflow.ParseCallback("code=hidden&state=s")
	if err != nil {
		t.Fatal(err)
	}
	f.login.Stop()
	// with what is known, the browser is still sent to the issuer, which may be back by then
	if _, err := f.AuthorizationURL(t.Context(), attempt()); err != nil {
		t.Error(err)
	}
	if _, err := f.LogoutURL(t.Context(), codeflow.Logout{}); err != nil {
		t.Error(err)
	}
	for _, p := range []*codeflow.Provider{f.Provider, provider(t, f.login)} { // the second knows nothing
		_, err := p.Exchange(t.Context(), c, attempt())
		f.wantError(t, err, "connection refused", identity.ErrUnavailable)
		_, err = p.Refresh(t.Context(), tokens.RefreshToken)
		f.wantError(t, err, "connection refused", identity.ErrUnavailable)
		_, err = p.Revoke(t.Context(), tokens.RefreshToken)
		f.wantError(t, err, "connection refused", identity.ErrUnavailable)
		if p != f.Provider {
			_, err = p.AuthorizationURL(t.Context(), attempt())
			f.wantError(t, err, "connection refused", identity.ErrUnavailable)
			_, err = p.LogoutURL(t.Context(), codeflow.Logout{})
			f.wantError(t, err, "connection refused", identity.ErrUnavailable)
			f.wantError(t, p.CheckIssuer(t.Context(), withoutIssuer), "connection refused", identity.ErrUnavailable)
		}
	}
	f.login.Start(t)
	if _, err := f.Exchange(t.Context(), c, attempt()); err != nil {
		t.Error(err)
	}
	if _, err := f.Refresh(t.Context(), tokens.RefreshToken); err != nil {
		t.Error(err)
	}
}

// Acceptance test 36 over a real connection: where a redirect leads is never asked, with or
// without the code.
func TestFaultsOverTheNetwork(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	f := newFlow(t, testissuer.LoginConfig{})
	tokens := f.tokens(t)
	for want, fault := range map[string]http.HandlerFunc{
		"status 307": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"status 302": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"larger than 262144 bytes": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(strings.Repeat(" ", 2<<20)))
		},
		"the connection ended before the answer did": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"status 503": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hidden", http.StatusServiceUnavailable) },
		"it is not application/json": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>hidden"))
		},
	} {
		f.login.Fault(testissuer.TokenPath, fault)
		before := f.login.Refreshes.Load()
		_, err := f.Refresh(t.Context(), tokens.RefreshToken)
		f.wantError(t, err, want, identity.ErrUnavailable)
		if n := f.login.Refreshes.Load() - before; n != 1 {
			t.Errorf("%s: asked %d times", want, n)
		}
	}
	f.login.Fault(testissuer.TokenPath, nil)
	if _, err := f.Refresh(t.Context(), tokens.RefreshToken); err != nil {
		t.Error(err)
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// An issuer sends a logout, and sends it again.
func TestIssuerSendsALogout(t *testing.T) {
	login := testissuer.NewLogin(t, testissuer.LoginConfig{})
	verifier, replays := verifier(t, login), codeflow.NewReplays()
	ended := make(chan string, 1)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		raw, err := codeflow.ParseLogoutForm(string(body))
		var token *codeflow.LogoutToken
		if err == nil {
			token, err = verifier.Verify(r.Context(), raw)
		}
		if err == nil {
			err = replays.Use(token)
		}
		if err != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		ended <- token.SessionID
	}))
	t.Cleanup(site.Close)
	token := login.LogoutToken(map[string]any{"sid": "session-1"})
	if status := login.SendLogout(t, site.Client(), site.URL, token); status != 200 || <-ended != "session-1" {
		t.Error(status)
	}
	if status := login.SendLogout(t, site.Client(), site.URL, token); status != 400 {
		t.Error(status)
	}
}
