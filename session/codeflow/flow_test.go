// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"crypto/x509"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// A whole life of a session at an issuer with strict single-use refresh tokens, over TLS.
func TestLoginRefreshAndLogout(t *testing.T) {
	ca := testpki.NewCA(t, nil, "issuer ca", testpki.AnyTime)
	f := newFlow(t, testissuer.LoginConfig{CA: ca}, func(c *codeflow.Config) {
		c.Roots = func() *x509.CertPool {
			pool := x509.NewCertPool()
			pool.AddCert(ca.Cert)
			return pool
		}
	})
	a := attempt()
	to, err := f.AuthorizationURL(t.Context(), a)
	if err != nil || !strings.HasPrefix(to, f.login.URL+"/authorize?") {
		t.Fatal(to, err)
	}
	// the browser of this test does not know the CA
	request, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	code := f.login.NewCode("alice", request.Query())
	c, err := codeflow.ParseCallback(url.Values{"code": {code}, "state": {a.State}, "iss": {f.login.URL}}.Encode())
	if err != nil || c.State != a.State {
		t.Fatal(c, err)
	}
	first, err := f.Exchange(t.Context(), c, a)
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.CheckIDToken(first.IDToken, a.Nonce, first.AccessToken)
	if err != nil || token.Issuer != f.login.URL || token.Subject != "alice" || token.SessionID == "" {
		t.Fatalf("%+v, %v", token, err)
	}
	second, err := f.Refresh(t.Context(), first.RefreshToken)
	if err != nil || second.RefreshToken == first.RefreshToken {
		t.Fatalf("%v", err)
	}
	if _, err := f.CheckRefreshed(first.IDToken, second.IDToken, second.AccessToken); err != nil {
		t.Error(err)
	}
	if asked, err := f.Revoke(t.Context(), second.RefreshToken); !asked || err != nil || !f.login.IsRevoked(second.RefreshToken) {
		t.Errorf("%v, %v", asked, err)
	}
	_, err = f.Refresh(t.Context(), second.RefreshToken)
	f.wantError(t, err, "refreshing: rejected: the issuer has ended the grant: the token endpoint answers invalid_grant", identity.ErrRejected, codeflow.ErrGrantEnded)
	if n := [3]int64{f.login.Discoveries.Load(), f.login.Exchanges.Load(), f.login.Refreshes.Load()}; n != [3]int64{1, 1, 2} {
		t.Errorf("asked %v times", n)
	}
}

func TestAuthorizationURLHasThisQuery(t *testing.T) {
	standard := map[string]string{
		"response_type": "code", "client_id": "dash", "scope": "openid profile email", "state": "state-value-1", "nonce": "nonce-value-1",
		"redirect_uri": "https://dash.example/kube-identity/callback", "code_challenge_method": "S256",
		"code_challenge": "yweOG1vIOgi-DEsVqesg0tBEaxjillv-MnlNRh-RKAU",
	}
	for name, test := range map[string]struct {
		change func(*codeflow.Config)
		prompt string
		want   map[string]string
	}{
		"the default": {func(*codeflow.Config) {}, "", nil},
		"other scopes": {
			func(c *codeflow.Config) { c.Scopes = []string{"openid", "offline_access", "groups"} }, "",
			map[string]string{"scope": "openid offline_access groups"},
		},
		"an answer by form": {
			func(c *codeflow.Config) { c.ResponseMode = "form_post" }, "", map[string]string{"response_mode": "form_post"},
		},
		"parameters of the operator": {
			func(c *codeflow.Config) {
				c.Parameters = []codeflow.Parameter{{"prompt", "login"}, {"hd", "example.com"}, {"max_age", "60"}, {"acr_values", "a b&c=d"}}
			}, "", map[string]string{"prompt": "login", "hd": "example.com", "max_age": "60", "acr_values": "a b&c=d"},
		},
		"another user after a refusal": {
			func(c *codeflow.Config) { c.Parameters = []codeflow.Parameter{{"prompt", "login"}} }, "select_account",
			map[string]string{"prompt": "select_account"},
		},
		"the endpoint's own query": {
			func(c *codeflow.Config) { c.AuthorizationURL = c.Issuer + "/authorize?p=policy%20one" }, "",
			map[string]string{"p": "policy one"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t, testissuer.LoginConfig{}, test.change)
			a := attempt()
			a.Prompt = test.prompt
			to, err := f.AuthorizationURL(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for name, values := range u.Query() {
				got[name] = strings.Join(values, " and ")
			}
			want := maps.Clone(standard)
			maps.Copy(want, test.want)
			if !maps.Equal(got, want) || u.Path != "/authorize" {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// A server would choose one of two parameters of the same name.
func TestEndpointWhoseQueryHasOurParametersIsNotUsed(t *testing.T) {
	for query, want := range map[string]string{
		"?nonce=hidden": "its query has the parameter \"nonce\"", "?STATE=x": "\"STATE\"", "?hd=x": "\"hd\"", "?code_challenge_method=plain": "\"code_challenge_method\"",
		"?a=%zz": "its query cannot be read", "?a;b": "its query cannot be read",
	} {
		f := newFlow(t, testissuer.LoginConfig{}, func(c *codeflow.Config) {
			c.AuthorizationURL = c.Issuer + "/authorize" + query
			c.Parameters = []codeflow.Parameter{{"hd", "example.com"}}
		})
		_, err := f.AuthorizationURL(t.Context(), attempt())
		f.wantError(t, err, want, identity.ErrUnavailable)
	}
}

func TestAttemptsThatCannotBeUsed(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	for name, change := range map[string]func(*codeflow.Attempt){
		"without a state": func(a *codeflow.Attempt) { a.State = "" }, "a long state": func(a *codeflow.Attempt) { a.State = strings.Repeat("a", 4097) },
		"a state with a blank": func(a *codeflow.Attempt) { a.State = "a b" }, "without a nonce": func(a *codeflow.Attempt) { a.Nonce = "" },
		"without a verifier": func(a *codeflow.Attempt) { a.Verifier = "" }, "a short verifier": func(a *codeflow.Attempt) { a.Verifier = strings.Repeat("a", 42) },
		"a long verifier":        func(a *codeflow.Attempt) { a.Verifier = strings.Repeat("a", 129) },
		"a wrong verifier":       func(a *codeflow.Attempt) { a.Verifier = strings.Repeat("+", 43) },
		"without a redirect url": func(a *codeflow.Attempt) { a.RedirectURL = "" }, "a prompt of two lines": func(a *codeflow.Attempt) { a.Prompt = "a\nb" },
	} {
		a := attempt()
		change(&a)
		to, err := f.AuthorizationURL(t.Context(), a)
		if to != "" {
			t.Errorf("%s: %s", name, to)
		}
		f.wantError(t, err, "starting a login", identity.ErrInternal)
	}
}

// Acceptance test 9: the code of one attempt is worth nothing in another.
func TestCodeIsRedeemedOnceAndByItsAttemptOnly(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	const ended = "redeeming a code: rejected: the issuer has ended the grant: the token endpoint answers invalid_grant"
	for name, change := range map[string]func(*codeflow.Attempt){
		"another verifier":     func(a *codeflow.Attempt) { a.Verifier = strings.Repeat("verifier-2", 5) },
		"another redirect url": func(a *codeflow.Attempt) { a.RedirectURL = "https://other.example/kube-identity/callback" },
	} {
		t.Run(name, func(t *testing.T) {
			c, a := f.callback(t, attempt()), attempt()
			change(&a)
			_, err := f.Exchange(t.Context(), c, a)
			f.wantError(t, err, ended, identity.ErrRejected, codeflow.ErrGrantEnded)
		})
	}
	c := f.callback(t, attempt())
	tokens, err := f.Exchange(t.Context(), c, attempt())
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Exchange(t.Context(), c, attempt())
	f.wantError(t, err, ended, identity.ErrRejected, codeflow.ErrGrantEnded)
	if !f.login.IsRevoked(tokens.RefreshToken) {
		t.Error("the issuer of the test is not strict")
	}
}

// The second use of a refresh token, as by a thief, ends all tokens of the login.
func TestRefreshTokenIsForOneUse(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	first := f.tokens(t)
	second, err := f.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{first.RefreshToken, second.RefreshToken} {
		_, err = f.Refresh(t.Context(), token)
		f.wantError(t, err, "the issuer has ended the grant", codeflow.ErrGrantEnded)
	}
	if f.login.Reuses.Load() != 1 {
		t.Errorf("%d reuses", f.login.Reuses.Load())
	}
	_, err = f.Refresh(t.Context(), "")
	f.wantError(t, err, "there is no refresh token", identity.ErrInternal)
}

func TestRefreshWithoutARefreshTokenKeepsTheOldOne(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{KeepRefreshToken: true})
	first := f.tokens(t)
	f.login.OnAnswer(func(answer map[string]any) { answer["id_token"] = nil })
	for range 2 {
		again, err := f.Refresh(t.Context(), first.RefreshToken)
		if err != nil || again.RefreshToken != first.RefreshToken || again.IDToken != "" || again.AccessToken == "" {
			t.Errorf("%v", err)
		}
	}
}

func TestIssuersWithoutOfflineAccessGiveNoRefreshToken(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{OfflineAccess: true})
	if tokens := f.tokens(t); tokens.RefreshToken != "" {
		t.Error("there is a refresh token")
	}
	f = &flow{provider(t, f.login, func(c *codeflow.Config) { c.Scopes = []string{"openid", "offline_access"} }), f.login}
	if tokens := f.tokens(t); tokens.RefreshToken == "" {
		t.Error("there is no refresh token")
	}
}
