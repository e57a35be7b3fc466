// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

var hopLink = regexp.MustCompile(`<a id="to" href="([^"]*)" data-attempt="([^"]*)"( data-before="([^"]*)")?( data-arrives)?>Continue</a>`)

// hop is a page that keeps a fragment.
type hop struct {
	url, attempt, before string
	arrives              bool
}

// wantHop reads such a page, and asserts that it has one script, which its policy names.
func wantHop(t *testing.T, answer reply, status int) hop {
	t.Helper()
	link := hopLink.FindStringSubmatch(answer.text)
	if answer.status != status || link == nil || answer.location != "" {
		t.Fatalf("status %d, want %d\n%s", answer.status, status, answer.text)
	}
	_, rest, _ := strings.Cut(answer.text, "<script>")
	script, after, _ := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(script))
	hash := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	policy := answer.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, hash) || strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'; ") ||
		strings.Contains(after, "<script") || strings.Count(answer.text, "script>") != 2 {
		t.Errorf("policy %q\n%s", policy, answer.text)
	}
	if len(answer.text) > 2048 || answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d bytes, header %v", len(answer.text), answer.header)
	}
	return hop{html.UnescapeString(link[1]), link[2], link[4], link[5] != ""}
}

func TestAFragmentIsKeptByAPageBeforeAndAfterTheLogin(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "keep_fragment"})
	w := s.window(t)
	answer := w.open("/a?b=c&d='x'(y)")
	start := wantHop(t, answer, http.StatusUnauthorized)
	if !strings.HasPrefix(start.url, s.issuer.URL+"/authorize?") || start.arrives || start.before != "" || answer.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("the page before the login: %+v, header %v", start, answer.header)
	}
	callback := w.open(start.url).location
	done := wantHop(t, w.open(callback), http.StatusOK)
	if want := (hop{"http://" + host + "/a?b=c&d='x'(y)", start.attempt, "", true}); done != want {
		t.Errorf("the page after the login: %+v, want %+v", done, want)
	}
	w.wantUser("alice")
	if again := wantHop(t, w.open(callback), http.StatusOK); again != done || s.issuer.Exchanges.Load() != 1 {
		t.Errorf("the callback again: %+v, %d codes were redeemed", again, s.issuer.Exchanges.Load())
	}
	s.wantNoSecrets(t)
}

func TestAFragmentIsKeptWhereALoginIsBegunAgain(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "keep_fragment"})
	w := s.window(t)
	start := wantHop(t, w.open("/a"), http.StatusUnauthorized)
	callback := w.open(start.url).location
	w.client.Jar = s.window(t).client.Jar // the binding is lost
	again := wantHop(t, w.open(callback), http.StatusOK)
	if !strings.HasPrefix(again.url, s.issuer.URL) || again.before != start.attempt || again.attempt == start.attempt || len(again.attempt) != len(start.attempt) {
		t.Errorf("%+v after %+v", again, start)
	}
	done := wantHop(t, w.open(w.open(again.url).location), http.StatusOK)
	if done.attempt != again.attempt || !done.arrives {
		t.Errorf("%+v after %+v", done, again)
	}
	w.wantUser("alice")
}

func TestAFragmentIsKeptByAnExplicitStart(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "keep_fragment", handler: "anonymous"})
	w := s.window(t)
	start := wantHop(t, w.open("/kube-identity/login?to=/b"), http.StatusOK)
	done := wantHop(t, w.open(w.open(start.url).location), http.StatusOK)
	if done.url != "http://"+host+"/b" || done.attempt != start.attempt {
		t.Errorf("%+v after %+v", done, start)
	}
	// with a session there is only a redirect, over which a browser keeps the fragment itself
	if answer := w.open("/kube-identity/login?to=/b"); answer.location != "http://"+host+"/b" {
		t.Errorf("status %d, location %q", answer.status, answer.location)
	}
}

func TestAFragmentIsKeptOnlyForWhoIsSentToLogIn(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "keep_fragment"})
	w := s.window(t)
	for name, answer := range map[string]reply{
		"fetch":      w.fetch("/a"),
		"a form":     w.ask(http.MethodPost, "/a", opens()),
		"a frame":    w.ask(http.MethodGet, "/a", []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}),
		"a prefetch": w.ask(http.MethodGet, "/a", append(opens(), "Sec-Purpose: prefetch")),
		"a loop":     w.open("/kube-identity/login?to=//evil.example"),
		"a logout":   w.open(logout),
	} {
		if strings.Contains(answer.text, "script") || strings.Contains(answer.header.Get("Content-Security-Policy"), "script") || len(answer.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: status %d\n%s", name, answer.status, answer.text)
		}
	}
	for _, target := range hostile {
		if answer := w.open("/kube-identity/login?to=" + url.QueryEscape(target)); strings.Contains(answer.text, "evil") {
			t.Errorf("%q:\n%s", target, answer.text)
		}
	}
	s.CheckNothing(t)
}

func TestALoopOfPagesThatKeepAFragmentEnds(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "keep_fragment"})
	w := s.window(t)
	for range 3 {
		start := wantHop(t, w.open("/a"), http.StatusUnauthorized)
		wantHop(t, w.open(w.open(start.url).location), http.StatusOK)
		w.set("kube_session", "")
	}
	if answer := w.open("/a"); answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "round in circles") || strings.Contains(answer.text, "<script") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
}

func TestAFragmentIsKeptOverAForm(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{login: "response_mode form_post", session: "keep_fragment", handler: "trusted_proxies static 127.0.0.1"})
	b := s.formBrowser(t)
	start := wantHop(t, b.get("/a"), http.StatusUnauthorized)
	page := b.ask(http.MethodGet, start.url, opens())
	fields := make(map[string]string)
	for _, field := range formField.FindAllStringSubmatch(page.text, -1) {
		fields[field[1]] = html.UnescapeString(field[2])
	}
	body := ""
	for name, value := range fields {
		body += "&" + name + "=" + strings.NewReplacer("+", "%2B", "/", "%2F", ":", "%3A", "=", "%3D").Replace(value)
	}
	done := wantHop(t, b.post(formCallback, body[1:]), http.StatusOK)
	if want := (hop{"https://dash.example/a", start.attempt, "", true}); done != want {
		t.Errorf("%+v, want %+v", done, want)
	}
	b.wantUser("alice")
}

func TestWithoutTheOptionThereIsNoScript(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	pages := []reply{w.open("/a"), w.ask(http.MethodPost, "/a", opens()), w.open("/kube-identity/nothing"), w.open("/kube-identity/callback")}
	pages = append(pages, w.open(w.toCallback("/a")), w.open(logout), w.ask(http.MethodPost, logout, nil))
	for _, page := range pages {
		if strings.Contains(page.text, "script") || strings.Contains(page.header.Get("Content-Security-Policy"), "script") {
			t.Errorf("status %d\n%s", page.status, page.text)
		}
	}
}
