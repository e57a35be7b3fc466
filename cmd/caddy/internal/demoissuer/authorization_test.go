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

func TestABrowserIsNotSentToAClientThatIsNotKnown(t *testing.T) {
	b := load(t, settings())
	b.login(t, asAlice)
	for name, c := range map[string]struct{ target, says string }{
		"nothing":                      {authorizationPath, "client_id"},
		"another client":               {target("client_id=other"), "client_id"},
		"no redirect URI":              {target("redirect_uri="), "redirect_uri"},
		"another path":                 {target("redirect_uri=" + returnURL + "/more"), "redirect_uri"},
		"a query more":                 {target("redirect_uri=" + returnURL + "?a=b"), "redirect_uri"},
		"a fragment more":              {target("redirect_uri=" + returnURL + "#a"), "redirect_uri"},
		"another port":                 {target("redirect_uri=http://127.0.0.1:8082/kube-identity/callback"), "redirect_uri"},
		"another name of the host":     {target("redirect_uri=http://localhost:8081/kube-identity/callback"), "redirect_uri"},
		"another case":                 {target("redirect_uri=HTTP://127.0.0.1:8081/kube-identity/callback"), "redirect_uri"},
		"an attacker's site":           {target("redirect_uri=https://evil.example/"), "redirect_uri"},
		"the site as a user":           {target("redirect_uri=http://127.0.0.1:8081@evil.example/kube-identity/callback"), "redirect_uri"},
		"a script":                     {target("redirect_uri=javascript:alert(1)"), "redirect_uri"},
		"the client twice":             {target() + "&client_id=dash", "twice"},
		"the redirect URI twice":       {target() + "&redirect_uri=https://evil.example/", "twice"},
		"an unknown parameter twice":   {target() + "&a=1&a=2", "twice"},
		"a query that cannot be read":  {target() + "&a=%zz", "cannot be read"},
		"a semicolon as the separator": {target() + "&a=1;b=2", "cannot be read"},
		"a query that is too long":     {target() + "&a=" + strings.Repeat("a", maxQuery), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			b.browse(t, http.MethodGet, c.target, "").wantPage(t, http.StatusBadRequest, c.says)
			b.browse(t, http.MethodPost, c.target, asAlice).wantPage(t, http.StatusBadRequest, c.says)
		})
	}
}

func TestAnAuthorizationIsRefusedAtTheClient(t *testing.T) {
	b := load(t, settings())
	b.login(t, asAlice)
	for name, c := range map[string]struct{ change, code string }{
		"no response type":              {"response_type=", "unsupported_response_type"},
		"the implicit flow":             {"response_type=id_token", "unsupported_response_type"},
		"the hybrid flow":               {"response_type=code id_token", "unsupported_response_type"},
		"no scope":                      {"scope=", "invalid_scope"},
		"no scope openid":               {"scope=email openidx", "invalid_scope"},
		"no challenge":                  {"code_challenge=", "invalid_request"},
		"no challenge method":           {"code_challenge_method=", "invalid_request"},
		"a plain challenge":             {"code_challenge_method=plain", "invalid_request"},
		"a challenge that is too short": {"code_challenge=AAAA", "invalid_request"},
		"a challenge that is no base64": {"code_challenge=" + strings.Repeat("!", 43), "invalid_request"},
		"a nonce that is too long":      {"nonce=" + strings.Repeat("n", maxText+1), "invalid_request"},
		"an answer as a form":           {"response_mode=form_post", "invalid_request"},
		"an answer in the fragment":     {"response_mode=fragment", "invalid_request"},
		"a request object":              {"request=e30.e30.", "request_not_supported"},
		"a request URI":                 {"request_uri=https://evil.example/", "request_uri_not_supported"},
		"an unknown prompt":             {"prompt=create", "invalid_request"},
		"the prompt none and another":   {"prompt=none login", "invalid_request"},
		"a max_age that is no number":   {"max_age=soon", "invalid_request"},
		"a max_age that is negative":    {"max_age=-1", "invalid_request"},
		"a max_age that overflows":      {"max_age=99999999999999999999", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: asAlice} {
				want := url.Values{"error": {c.code}, "state": {opaque}, "iss": {issuerURL}}
				if got := callback(t, b.browse(t, method, target(c.change), body)); got.Encode() != want.Encode() {
					t.Errorf("%s: the browser was sent back with %v, want %v", method, got, want)
				}
			}
		})
	}
	t.Run("a state that is too long", func(t *testing.T) {
		got := callback(t, b.browse(t, http.MethodGet, target("state="+strings.Repeat("s", maxQuery/2+1)), ""))
		if want := (url.Values{"error": {"invalid_request"}, "iss": {issuerURL}}); got.Encode() != want.Encode() {
			t.Errorf("the browser was sent back with %v", got)
		}
	})
}

func TestARedirectURLKeepsItsQuery(t *testing.T) {
	b := load(t, settings())
	got := b.browse(t, http.MethodPost, target("redirect_uri=https://dash.localhost/back?one=1", "state="), asAlice).Header.Get("Location")
	if !strings.HasPrefix(got, "https://dash.localhost/back?one=1&code=") || strings.Contains(got, "state") {
		t.Errorf("the browser was sent to %q", got)
	}
}

func TestWhoIsAskedToLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := load(t, settings())
		asks := func(when, change string, want bool) {
			t.Helper()
			got := b.browse(t, http.MethodGet, target(change), "")
			if want {
				got.wantPage(t, http.StatusOK, formTitle)
				return
			}
			if code(t, got) == "" {
				t.Errorf("%s: no code", when)
			}
		}
		asks("before a login", "scope=openid", true)
		if got := callback(t, b.browse(t, http.MethodGet, target("prompt=none"), "")); got.Get("error") != "login_required" {
			t.Errorf("without a login, prompt=none is answered with %v", got)
		}
		b.login(t, asAlice)
		time.Sleep(time.Minute)
		asks("after a login", "scope=openid", false)
		asks("after a login, with none", "prompt=none", false)
		asks("with login", "prompt=login", true)
		asks("with select_account", "prompt=select_account", true)
		asks("with a max_age that has not passed", "max_age=60", false)
		asks("with a max_age that has passed", "max_age=59", true)
		asks("with no age", "max_age=0", true)
		time.Sleep(sessionLife - time.Minute - time.Second)
		asks("before the session's end", "scope=openid", false)
		time.Sleep(time.Second)
		asks("at the session's end", "scope=openid", true)
	})
}
