// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// errorPage is how one of the pages with an error comes about.
type errorPage struct {
	status int
	word   string // the placeholder http.kube_identity.login; empty where no login was begun
	ask    func(s *site, w *window) reply
}

// errorPages are all but those of the callback.
func errorPages() map[string]errorPage {
	frame := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}
	return map[string]errorPage{
		"a page in a frame": {http.StatusUnauthorized, "", func(_ *site, w *window) reply {
			return w.ask(http.MethodGet, "/a", frame)
		}},
		"a form without a session": {http.StatusUnauthorized, "", func(_ *site, w *window) reply {
			return w.ask(http.MethodPost, "/a", opens())
		}},
		"the login in a frame": {http.StatusUnauthorized, "", func(_ *site, w *window) reply {
			return w.ask(http.MethodGet, "/kube-identity/login", frame)
		}},
		"a user whom the policy refuses": {http.StatusForbidden, "", func(s *site, w *window) reply {
			s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
			w.login("/a")
			return w.open("/a")
		}},
		"a logout by another site": {http.StatusForbidden, "", func(_ *site, w *window) reply {
			return w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: cross-site"})
		}},
		"a path that is not there": {http.StatusNotFound, "", func(_ *site, w *window) reply {
			return w.open("/kube-identity/nothing")
		}},
		"a method that is not taken": {http.StatusMethodNotAllowed, "", func(_ *site, w *window) reply {
			return w.ask(http.MethodPost, "/kube-identity/login", opens())
		}},
		"a way back to another site": {http.StatusBadRequest, "malformed", func(_ *site, w *window) reply {
			return w.open("/kube-identity/login?to=//evil.example")
		}},
		"plain http": {http.StatusBadRequest, "insecure", func(_ *site, w *window) reply {
			return w.open("http://name.test/a")
		}},
		"a loop": {http.StatusBadRequest, "loop", func(_ *site, w *window) reply {
			for range 3 {
				w.login("/a")
				w.set("kube_session", "")
			}
			return w.open("/a")
		}},
		"an issuer that is down": {http.StatusServiceUnavailable, "unavailable", func(_ *site, w *window) reply {
			return w.open("/a")
		}},
	}
}

func newErrorSite(t *testing.T, name, before string) *site {
	t.Helper()
	options := siteOptions{before: before, handler: "deny_users bob"}
	if name == "an issuer that is down" {
		options.prepare = func(issuer *testissuer.Login) {
			issuer.Fault(testissuer.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		}
	}
	return newSite(t, testissuer.LoginConfig{Users: users()}, options)
}

func TestAnErrorIsASmallPageWithoutScript(t *testing.T) {
	for name, page := range errorPages() {
		t.Run(name, func(t *testing.T) {
			s := newErrorSite(t, name, "")
			answer := page.ask(s, s.window(t))
			if answer.status != page.status || len(answer.text) > 2048 || !strings.HasPrefix(answer.header.Get("Content-Security-Policy"), "default-src 'none'; ") ||
				answer.header.Get("Cache-Control") != "no-store" || strings.Contains(answer.text, "<script") || strings.Contains(answer.text, "evil") {
				t.Errorf("status %d, header %v\n%s", answer.status, answer.header, answer.text)
			}
			for _, part := range []string{`<html lang="en">`, "<title>", "<main>", "<h1>", `name="viewport"`, "color-scheme:light dark"} {
				if !strings.Contains(answer.text, part) {
					t.Errorf("the page lacks %s:\n%s", part, answer.text)
				}
			}
			s.CheckNothing(t)
		})
	}
}

func TestHandleErrorsReplacesEachPageOfAnError(t *testing.T) {
	const custom = `handle_errors {
		respond "custom {err.status_code} [{http.kube_identity.login}] {http.kube_identity.reason} {err.message}"
	}`
	for name, page := range errorPages() {
		t.Run(name, func(t *testing.T) {
			s := newErrorSite(t, name, custom)
			answer := page.ask(s, s.window(t))
			want := fmt.Sprintf("custom %d [%s] ", page.status, page.word)
			if !strings.HasPrefix(answer.text, want) || strings.Contains(answer.text, "{") || answer.status != page.status {
				t.Errorf("status %d, %s, want %s", answer.status, answer.text, want)
			}
			if answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Content-Security-Policy") != "" {
				t.Errorf("header %v", answer.header)
			}
			s.CheckNothing(t)
		})
	}
}

func TestHandleErrorsForSomeStatusesLeavesTheOthers(t *testing.T) {
	s := newErrorSite(t, "", "handle_errors 403 {\nrespond custom\n}")
	w := s.window(t)
	if answer := w.open("/kube-identity/nothing"); answer.status != http.StatusNotFound || !strings.Contains(answer.text, "There is no such page.") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	if answer := w.ask(http.MethodPost, logout, nil); answer.status != http.StatusForbidden || answer.text != "custom" {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
}

func TestHandleErrorsLeavesThePagesOfTheCallback(t *testing.T) {
	s := newErrorSite(t, "", "handle_errors {\nrespond custom\n}")
	w := s.window(t)
	callback := w.toCallback("/a")
	for name, test := range map[string]struct {
		answer reply
		status int
	}{
		"nothing":       {w.open("/kube-identity/callback"), http.StatusBadRequest},
		"an error":      {w.open(withParameter(t, withParameter(t, callback, "code", ""), "error", "access_denied")), http.StatusForbidden},
		"another iss":   {w.open(withParameter(t, callback, "iss", "https://other.example")), http.StatusBadRequest},
		"a made-up one": {w.open(withParameter(t, callback, "code", "made-up")), http.StatusBadGateway},
		"POST":          {w.ask(http.MethodPost, callback, opens()), http.StatusMethodNotAllowed},
	} {
		if test.answer.status != test.status || strings.Contains(test.answer.text, "custom") || !strings.Contains(test.answer.text, "<h1>") {
			t.Errorf("%s: status %d, want %d\n%s", name, test.answer.status, test.status, test.answer.text)
		}
	}
	s.wantNoSecrets(t, parameter(t, callback, "state"))
}

// A link of a page must not tell the address of that page, which may have a code.
func TestAPageOfTheCallbackHasNoReferer(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	answer := w.open("/kube-identity/callback?code=x&state=y")
	if answer.status != http.StatusBadRequest || answer.header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(answer.text, "<a ") {
		t.Errorf("status %d, header %v\n%s", answer.status, answer.header, answer.text)
	}
}
