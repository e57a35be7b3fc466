// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestACodeIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"without a redirect URI":           "redirect_uri=",
		"with another redirect URI":        "redirect_uri=https://dash.localhost/back?one=1",
		"without a verifier":               "code_verifier=",
		"with another verifier":            "code_verifier=" + verifier + "x",
		"with the challenge as a verifier": "code_verifier=" + challenge(),
	} {
		t.Run(name, func(t *testing.T) {
			b := load(t, settings())
			code := b.login(t, asAlice)
			b.redeem(t, code, change).wantError(t, http.StatusBadRequest, "invalid_grant")
			b.redeem(t, code).wantError(t, http.StatusBadRequest, "invalid_grant") // it may be stolen
		})
	}
	b := load(t, settings())
	code := b.login(t, asAlice)
	id, secret, _ := strings.Cut(code, ".")
	for name, code := range map[string]string{"empty": "", "unknown": "a.b", "without its secret": id, "with an empty secret": id + ".", "with another secret": id + ".a", "without its id": "." + secret} {
		t.Run(name, func(t *testing.T) {
			b.redeem(t, code).wantError(t, http.StatusBadRequest, "invalid_grant")
			b.refresh(t, code).wantError(t, http.StatusBadRequest, "invalid_grant")
		})
	}
	b.refresh(t, code).wantError(t, http.StatusBadRequest, "invalid_grant") // it is not a refresh token
	b.redeem(t, code).tokens(t)
}

func TestACodeIsGoodForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := load(t, settings())
		code := b.login(t, asAlice)
		time.Sleep(codeLife - time.Second)
		b.redeem(t, code).tokens(t)
		code = b.login(t, asAlice)
		time.Sleep(codeLife)
		b.redeem(t, code).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
}

// A thief has read a code from a log, and is later than the client.
func TestASecondUseOfACodeEndsTheLogin(t *testing.T) {
	b := load(t, settings())
	code := b.login(t, asAlice)
	got := b.redeem(t, code).tokens(t)
	b.redeem(t, code).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, got.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
}

func TestACodeOfASessionThatHasEndedIsRefused(t *testing.T) {
	b := load(t, settings())
	code := b.login(t, asAlice)
	b.browse(t, http.MethodPost, logoutPath, "").wantPage(t, http.StatusOK, "You are logged out")
	b.redeem(t, code).wantError(t, http.StatusBadRequest, "invalid_grant")
}

// A thief has copied a refresh token. Whoever of the thief and the client is second ends the
// login, and other logins stay.
func TestASecondUseOfARefreshTokenEndsTheLogin(t *testing.T) {
	b := load(t, settings())
	other := b.redeem(t, b.login(t, asAlice)).tokens(t)
	first := b.redeem(t, b.login(t, asAlice)).tokens(t)
	second := b.refresh(t, first.Refresh).tokens(t)
	third := b.refresh(t, second.Refresh).tokens(t)
	if first.Refresh == second.Refresh || second.Refresh == third.Refresh {
		t.Error("a refresh token came again")
	}
	b.refresh(t, first.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, third.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, other.Refresh).tokens(t)
}

func TestARefreshTokenEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := load(t, settings())
		got := b.redeem(t, b.login(t, asAlice)).tokens(t)
		time.Sleep(sessionLife - time.Second)
		got = b.refresh(t, got.Refresh).tokens(t)
		time.Sleep(time.Second)
		b.refresh(t, got.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
}

func TestRevocation(t *testing.T) {
	b := load(t, settings())
	revoke := func(form string) answer {
		return b.ask(t, request(http.MethodPost, revocationPath, form))
	}
	kept := b.redeem(t, b.login(t, asAlice)).tokens(t)
	for name, token := range map[string]string{"unknown": "a.b", "an access token": kept.Access, "an ID token": kept.ID} {
		if got := revoke(url.Values{"client_id": {"dash"}, "token": {token}}.Encode()); got.StatusCode != http.StatusOK || got.body != "" {
			t.Errorf("%s: got %d %s", name, got.StatusCode, got.body)
		}
	}
	revoke("client_id=dash").wantError(t, http.StatusBadRequest, "invalid_request")
	revoke("client_id=other&token="+kept.Refresh).wantError(t, http.StatusUnauthorized, "invalid_client")
	kept = b.refresh(t, kept.Refresh).tokens(t)

	newest := b.redeem(t, b.login(t, asAlice)).tokens(t)
	earlier := b.redeem(t, b.login(t, asAlice)).tokens(t)
	renewed := b.refresh(t, earlier.Refresh).tokens(t)
	for _, token := range []string{newest.Refresh, earlier.Refresh} {
		if got := revoke("client_id=dash&token_type_hint=refresh_token&token=" + token); got.StatusCode != http.StatusOK {
			t.Errorf("got %d %s", got.StatusCode, got.body)
		}
	}
	b.refresh(t, newest.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, renewed.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, kept.Refresh).tokens(t)
}

func TestATokenRequestIsRefused(t *testing.T) {
	b := load(t, settings())
	form := "client_id=dash&grant_type=refresh_token&refresh_token=a"
	for name, c := range map[string]struct {
		target, form string
		lines        []string
		status       int
		code         string
	}{
		"without a grant type":       {tokenPath, "client_id=dash", nil, http.StatusBadRequest, "unsupported_grant_type"},
		"with the user's password":   {tokenPath, "client_id=dash&grant_type=password&username=alice&password=alice-demo", nil, http.StatusBadRequest, "unsupported_grant_type"},
		"without a client":           {tokenPath, "grant_type=refresh_token", nil, http.StatusUnauthorized, "invalid_client"},
		"of another client":          {tokenPath, "client_id=other", nil, http.StatusUnauthorized, "invalid_client"},
		"with a secret":              {tokenPath, form + "&client_secret=a", nil, http.StatusUnauthorized, "invalid_client"},
		"with Basic":                 {tokenPath, form, []string{"Authorization: Basic ZGFzaDo="}, http.StatusUnauthorized, "invalid_client"},
		"with a parameter twice":     {tokenPath, form + "&refresh_token=b", nil, http.StatusBadRequest, "invalid_request"},
		"with a query":               {tokenPath + "?a=b", form, nil, http.StatusBadRequest, "invalid_request"},
		"that is too long":           {tokenPath, form + "&a=" + strings.Repeat("a", maxForm), nil, http.StatusBadRequest, "invalid_request"},
		"that cannot be read":        {tokenPath, form + "&a=%zz", nil, http.StatusBadRequest, "invalid_request"},
		"that is JSON":               {tokenPath, "{}", []string{"Content-Type: application/json"}, http.StatusBadRequest, "invalid_request"},
		"with everything in its URL": {tokenPath + "?" + form, "", nil, http.StatusBadRequest, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(http.MethodPost, c.target, c.form)
			for _, line := range c.lines {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Set(name, value)
			}
			b.ask(t, r).wantError(t, c.status, c.code)
		})
	}
}

func TestAClientWithASecret(t *testing.T) {
	b := confidential(t)
	ask := func(id, secret, form string) answer {
		r := request(http.MethodPost, tokenPath, form+"&grant_type=authorization_code&redirect_uri="+url.QueryEscape(returnURL)+"&code_verifier="+verifier)
		if id != "" {
			r.SetBasicAuth(id, secret)
		}
		return b.ask(t, r)
	}
	code, encoded := b.login(t, asAlice), url.QueryEscape("s3:cret +%")
	for name, c := range map[string]struct{ id, secret, form string }{
		"no authentication":            {"", "", "client_id=dash"},
		"a secret in the form":         {"", "", "client_id=dash&client_secret=" + encoded},
		"a wrong secret":               {"dash", encoded + "x", ""},
		"an empty secret":              {"dash", "", ""},
		"a secret that is not coded":   {"dash", "s3:cret +%", ""},
		"a wrong client":               {"other", encoded, ""},
		"another client in the form":   {"dash", encoded, "client_id=other"},
		"a secret in the form as well": {"dash", encoded, "client_secret=" + encoded},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(c.id, c.secret, c.form+"&code="+code)
			got.wantError(t, http.StatusUnauthorized, "invalid_client")
			if got.Header.Get("WWW-Authenticate") == "" {
				t.Error("the answer does not say how to authenticate")
			}
		})
	}
	ask("dash", encoded, "code="+code).tokens(t)
	ask("dash", encoded, "client_id=dash&code="+b.login(t, asBob)).tokens(t)
}

// A program of this machine logs in for ever.
func TestMemoryHasABound(t *testing.T) {
	b := load(t, settings())
	for range maxSessions + 50 {
		b.cookie = ""
		b.browse(t, http.MethodPost, target("state="+strings.Repeat("s", 3000)), asAlice)
	}
	for range maxGrants {
		b.browse(t, http.MethodGet, target(), "")
	}
	if sessions, grants := b.state.sessions.Len(), b.state.grants.Len(); sessions != maxSessions || grants != maxGrants {
		t.Errorf("there are %d sessions and %d grants", sessions, grants)
	}
	b.redeem(t, b.login(t, asAlice)).tokens(t)
}
