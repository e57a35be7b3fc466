// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

func TestABrowserLogsInAndComesToThePageThatItOpened(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	if got, want := w.login("/pods?namespace=a&x=1"), "http://"+host+"/pods?namespace=a&x=1"; got != want {
		t.Errorf("the browser comes to %s, want %s", got, want)
	}
	received := w.wantUser("alice")
	if groups := received.Header.Get("X-Groups"); groups != "dev,ops" {
		t.Errorf("groups %q", groups)
	}
	if token := tokenIn(received); testissuer.Claim(t, token, "sub") != "alice" {
		t.Error("the upstream did not get the user's token")
	}
	if s.issuer.Exchanges.Load() != 1 {
		t.Errorf("%d codes were redeemed", s.issuer.Exchanges.Load())
	}
	for _, cookie := range received.Header["Cookie"] {
		t.Errorf("the upstream received the cookie %q", cookie)
	}
	var secrets []string
	for _, value := range w.cookies() {
		secrets = append(secrets, value)
	}
	s.wantNoSecrets(t, secrets...)
}

func TestAnAttackersCallbackInAVictimsBrowserRedeemsNothing(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	attacker := s.window(t)
	callback := attacker.toCallback("/attackers/page")
	victim := s.window(t)
	answer := victim.open(callback)
	if answer.status != http.StatusSeeOther || !strings.HasPrefix(answer.location, s.issuer.URL) {
		t.Errorf("status %d, location %q", answer.status, answer.location)
	}
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	if _, ok := victim.cookies()["kube_session"]; ok {
		t.Error("the victim has a session")
	}
}

func TestAStateOfAnotherBrowserIsRefusedBeforeTheTokenEndpoint(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	one, other := s.window(t), s.window(t)
	callback := one.toCallback("/a")
	other.toCallback("/b") // it has a binding of its own
	other.open(callback)
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	if _, ok := other.cookies()["kube_session"]; ok {
		t.Error("there is a session")
	}
}

func TestACodeOfAnotherAttemptIsRefusedByItsVerifier(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	first, second := w.toCallback("/a"), w.toCallback("/b")
	answer := w.open(withParameter(t, second, "code", parameter(t, first, "code")))
	if answer.status != http.StatusBadGateway {
		t.Errorf("status %d", answer.status)
	}
	if _, ok := w.cookies()["kube_session"]; ok {
		t.Error("there is a session")
	}
	s.wantNoSecrets(t)
}

func TestIDTokensThatAreNotOfThisLoginAreRefused(t *testing.T) {
	for name, change := range map[string]func(claims map[string]any){
		"another nonce":                 func(claims map[string]any) { claims["nonce"] = "another" },
		"no nonce":                      func(claims map[string]any) { delete(claims, "nonce") },
		"two nonces":                    func(claims map[string]any) { claims["nonce"] = []string{"a", "b"} },
		"another party":                 func(claims map[string]any) { claims["azp"] = "another" },
		"two audiences without a party": func(claims map[string]any) { claims["aud"] = []string{"dash", "other"}; delete(claims, "azp") },
		"another audience":              func(claims map[string]any) { claims["aud"] = "other" },
		"another issuer":                func(claims map[string]any) { claims["iss"] = "https://other.example" },
		"expired":                       func(claims map[string]any) { claims["exp"] = 1000000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
			s.issuer.OnClaims(change)
			w := s.window(t)
			answer := w.open(w.toCallback("/a"))
			if answer.status != http.StatusBadGateway || w.cookies()["kube_session"] != "" {
				t.Errorf("status %d, cookies %v", answer.status, w.cookies())
			}
			w.wantNobody()
			s.wantNoSecrets(t)
		})
	}
}

func TestTheIssuerParameter(t *testing.T) {
	for name, value := range map[string]string{"missing": "", "of another issuer": "https://other.example"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
			w := s.window(t)
			answer := w.open(withParameter(t, w.toCallback("/a"), "iss", value))
			if answer.status != http.StatusBadRequest || s.issuer.Exchanges.Load() != 0 {
				t.Errorf("status %d, %d codes were redeemed", answer.status, s.issuer.Exchanges.Load())
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
		w := s.window(t)
		answer := w.open(w.toCallback("/a") + "&iss=" + url.QueryEscape(s.issuer.URL))
		if answer.status != http.StatusBadRequest || s.issuer.Exchanges.Load() != 0 {
			t.Errorf("status %d, %d codes were redeemed", answer.status, s.issuer.Exchanges.Load())
		}
	})
}

func TestCallbacksThatTheIssuerDidNotSend(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	callback := w.toCallback("/a")
	code, state := parameter(t, callback, "code"), url.QueryEscape(parameter(t, callback, "state"))
	const path = "/kube-identity/callback"
	for name, test := range map[string]struct {
		method, target string
		fields         []string
		status         int
	}{
		"nothing":                 {http.MethodGet, path, opens(), http.StatusBadRequest},
		"two codes":               {http.MethodGet, callback + "&code=x", opens(), http.StatusBadRequest},
		"two states":              {http.MethodGet, callback + "&state=x", opens(), http.StatusBadRequest},
		"a code and an error":     {http.MethodGet, callback + "&error=access_denied", opens(), http.StatusBadRequest},
		"a code without a state":  {http.MethodGet, path + "?code=" + code, opens(), http.StatusBadRequest},
		"a state without a code":  {http.MethodGet, path + "?state=" + state, opens(), http.StatusBadRequest},
		"a state that is made up": {http.MethodGet, path + "?code=x&state=abc", opens(), http.StatusBadRequest},
		"a long state":            {http.MethodGet, path + "?code=x&state=" + strings.Repeat("a", 8<<10), opens(), http.StatusBadRequest},
		"HEAD":                    {http.MethodHead, callback, opens(), http.StatusMethodNotAllowed},
		"POST":                    {http.MethodPost, callback, opens(), http.StatusMethodNotAllowed},
		"a prefetch":              {http.MethodGet, callback, append(opens(), "Sec-Purpose: prefetch"), http.StatusBadRequest},
		"a slash at the end":      {http.MethodGet, path + "/?code=x&state=" + state, opens(), http.StatusNotFound},
		"another spelling":        {http.MethodGet, "/kube-identity/%63allback", opens(), http.StatusNotFound},
		"another case":            {http.MethodGet, "/Kube-Identity/callback", opens(), http.StatusNotFound},
		"a path that is escaped":  {http.MethodGet, "/%6bube-identity%2fcallback", opens(), http.StatusNotFound},
		"a path escaped twice":    {http.MethodGet, "/%256bube-identity/callback", opens(), http.StatusNotFound},
		"the path itself":         {http.MethodGet, "/kube-identity", opens(), http.StatusNotFound},
		"a page that is not":      {http.MethodGet, "/kube-identity/back-channel", opens(), http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.ask(test.method, test.target, test.fields)
			if answer.status != test.status || s.issuer.Exchanges.Load() != 0 || answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, want %d; %d codes were redeemed", answer.status, test.status, s.issuer.Exchanges.Load())
			}
			s.CheckNothing(t)
		})
	}
	if answer := w.open(callback); answer.status != http.StatusSeeOther {
		t.Errorf("afterwards the callback has the status %d", answer.status)
	}
	s.wantNoSecrets(t, parameter(t, callback, "state"))
}

func TestABackButtonOntoTheCallbackRedeemsNothing(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	callback := w.toCallback("/a?b=c")
	w.open(callback)
	answer := w.open(callback)
	if answer.status != http.StatusSeeOther || answer.location != "http://"+host+"/a?b=c" || s.issuer.Exchanges.Load() != 1 {
		t.Errorf("status %d, location %q, %d codes were redeemed", answer.status, answer.location, s.issuer.Exchanges.Load())
	}
}

func TestTwoTabsLogInAtOnce(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	var callbacks []string
	for _, page := range []string{"/a", "/b", "/c", "/d", "/e"} {
		callbacks = append(callbacks, w.toCallback(page))
	}
	for i, page := range []string{"/a", "/b", "/c", "/d", "/e"} {
		if answer := w.open(callbacks[i]); answer.location != "http://"+host+page {
			t.Errorf("the tab of %s comes to %q with status %d", page, answer.location, answer.status)
		}
	}
	w.wantUser("alice")
}

// hostile are return paths that have led other proxies' users astray.
var hostile = []string{
	"//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, "/%09/evil.example", "/\t/evil.example", "/ /evil.example",
	`/./\evil.example`, "/%2f%2fevil.example", "/%5cevil.example", "//%5cevil.example", "/%0d%0aX:y", "/%0a/evil.example",
	"%01javascript:x", "javascript:alert(1)", "https:evil.example", "http:///evil.example", "https://good@evil.example",
	"https://evil.example", "https://evil#.good", "https://evil?.good", "good:443@evil", "/〱evil.example", "〵evil.example",
	"/<evil", "/.evil/../..//evil.example", "/kube-identity/logout", "/%6bube-identity/login", "",
}

func TestAReturnPathNeverLeadsToAnotherSite(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	for _, to := range hostile {
		w := s.window(t)
		answer := w.open("/kube-identity/login?to=" + url.QueryEscape(to))
		if answer.status != http.StatusBadRequest || answer.location != "" {
			t.Errorf("to=%q: status %d, location %q", to, answer.status, answer.location)
		}
	}
	for _, target := range []string{"//evil.example", "///evil.example", "/%09/evil.example", "/%2f%2fevil.example", "/%5cevil.example", "//evil.example/.."} {
		status, header := s.send(t, "GET "+target+" HTTP/1.1", opens())
		location := header.Get("Location")
		if status != http.StatusSeeOther || !strings.HasPrefix(location, s.issuer.URL+"/authorize?") {
			t.Errorf("%s: status %d, location %q", target, status, location)
			continue
		}
		if redirect := parameter(t, location, "redirect_uri"); redirect != "http://"+host+"/kube-identity/callback" {
			t.Errorf("%s: redirect_uri %q", target, redirect)
		}
	}
}

func TestFieldsOfProxiesThatAreNotTrustedDoNotMoveTheSite(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	answer := w.ask(http.MethodGet, "/a", append(opens(), "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https",
		"X-Forwarded-Uri: /evil", "X-Auth-Request-Redirect: https://evil.example", "Referer: https://evil.example/"))
	if redirect := parameter(t, answer.location, "redirect_uri"); redirect != "http://"+host+"/kube-identity/callback" {
		t.Errorf("redirect_uri %q", redirect)
	}
	callback := w.open(answer.location).location
	if got := w.open(callback).location; got != "http://"+host+"/a" {
		t.Errorf("the browser comes to %q", got)
	}
}
