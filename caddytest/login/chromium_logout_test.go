// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// streams opens a websocket and an EventSource, which note in ended that they have ended.
const streams = `window.ended = []
const events = new EventSource("/events"), socket = new WebSocket("ws://" + location.host + "/socket")
events.onerror = () => { events.close(); ended.push("events") }
socket.onclose = () => ended.push("socket")
Promise.all([new Promise(done => events.onmessage = done), new Promise(done => socket.onmessage = e => done(e.data))]).then(got => got[1])`

func TestChromiumLogsOutInAllTabs(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	p := newProfile(t)
	page, other := p.tab(), p.tab()
	page.open(s.url("/pods"))
	page.wantIssuer(s)
	page.submit("alice")
	page.want(user, "alice")
	other.open(s.url("/logs"))
	other.want(user, "alice")
	if greeted := other.run(streams); greeted != "alice" {
		t.Fatalf("the websocket greets %v", greeted)
	}
	copied := p.sessionCookies()["kube_session"]
	page.open(s.url(logout))
	page.wantHeading("Log out?")
	page.click("button")
	page.wantHeading("You are logged out")
	page.wantAt(s.url(logout)) // the query of the issuer's redirect has no state
	other.want("ended.sort().join()", "events,socket")
	if status := other.run(`fetch("/api").then(answer => answer.status)`); status != 401.0 {
		t.Errorf("the other tab's fetch: %v", status)
	}
	if answer := s.window(t).ask(http.MethodGet, s.url("/api"), append(fetches(), "Cookie: kube_session="+copied)); answer.status != http.StatusUnauthorized {
		t.Errorf("a copy of the cookie: status %d", answer.status)
	}
	if cookies := p.sessionCookies(); cookies["kube_session"] != "" {
		t.Errorf("cookies %v", cookies)
	}
	page.click("a")
	page.wantIssuer(s) // the issuer's session has ended, too
	s.wantNoSecrets(t, copied)
}

func TestChromiumIsNotLoggedOutByAnotherSite(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{before: "log"})
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><img src="%[1]s"><iframe src="%[1]s"></iframe><a href="%[1]s">x</a><form method="post" action="%[1]s"><button>x</button></form>`, s.url(logout))
	}))
	t.Cleanup(evil.Close)
	page := newProfile(t).tab()
	page.open(s.url("/pods"))
	page.want(user, "alice")
	before := page.profile.sessionCookies()["kube_session"]
	attack := strings.Replace(evil.URL, "127.0.0.1", "evil.test", 1)
	for _, selector := range []string{"", "a", "button"} {
		page.open(attack)
		page.want("document.readyState === 'complete' && document.querySelector('a') !== null", true)
		switch selector {
		case "a":
			page.click("a")
			page.wantHeading("Log out?") // it asks
		case "button":
			page.click("button")
			page.wantHeading("Not logged out")
		}
		if after := page.profile.sessionCookies()["kube_session"]; after != before {
			t.Errorf("%q: the cookie is %q", selector, after)
		}
		page.open(s.url("/pods"))
		page.want(user, "alice")
	}
	if n := s.issuer.Logouts.Load() + s.issuer.Revocations.Load(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestChromiumDoesNotShowOldPagesOfOurs(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	page := newProfile(t).tab()
	page.open(s.url("/pods"))
	page.wantIssuer(s)
	page.submit("alice")
	page.want(user, "alice")
	page.open(s.url(logout))
	page.wantHeading("Log out?")
	page.click("button")
	page.wantHeading("You are logged out")
	current, entries := page.history()
	found := false
	for i, e := range entries[:current] {
		if e.URL != s.url(logout) {
			continue
		}
		found = true
		page.goTo(entries[i].ID) // the confirmation page is asked for again, and says what is true now
		page.wantHeading("You are logged out")
	}
	if !found && entries[current].URL != s.url(logout) {
		t.Errorf("the history is %v", visited(entries))
	}
	page.open(s.url("/pods")) // the redirect at the first visit was not kept, and is another one now
	page.wantIssuer(s)
	page.submit("bob")
	page.want(user, "bob")
	page.open(s.url("/pods"))
	page.want(user, "bob")
}

func TestChromiumWithoutCookiesComesToAPageThatNamesThem(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{})
	page := newProfileWithoutCookies(t).tab()
	page.open(s.url("/pods"))
	page.wantHeading("Logging in does not work")
	if text := page.text("document.body.innerText"); !strings.Contains(text, "Are cookies blocked for this site?") {
		t.Errorf("the page says %s", text)
	}
	if n, asked := s.issuer.Exchanges.Load(), s.issuer.Authorizations.Load(); n != 0 || asked != 3 {
		t.Errorf("the issuer was asked %d times, and %d codes were redeemed", asked, n)
	}
}

// A session grows at each refresh, up to what fits, and shrinks at the last one.
func TestChromiumHasTheCookiesOfASessionThatGrowsAndShrinks(t *testing.T) {
	s := newDashboard(t, alwaysDue(), siteOptions{})
	page := newProfile(t).tab()
	page.open(s.url("/pods"))
	page.want(user, "alice")
	steps := 0
	refresh := func(groups int) (cookies []string, length int) {
		t.Helper()
		s.issuer.Change(func(config *testissuer.LoginConfig) {
			config.Users = users()
			config.Users["alice"].Claims["groups"] = randomGroups(groups)
		})
		steps++
		page.open(s.url(fmt.Sprintf("/pods/%d", steps)))
		page.wantAt(s.url(fmt.Sprintf("/pods/%d", steps)))
		page.want(user, "alice")
		for name, value := range page.profile.sessionCookies() {
			if name != "kube_login" {
				cookies = append(cookies, name)
				length += len(value)
			}
		}
		slices.Sort(cookies)
		if status := page.run(`fetch("/api").then(answer => answer.status)`); status != 200.0 {
			t.Errorf("the next request: status %v", status)
		}
		return cookies, length
	}
	_, short := refresh(0)
	two, long := refresh(170)
	three, _ := refresh(170 + (7890-long)/((long-short)/170)) // three are between 7.8 and 8 kB
	one, _ := refresh(0)
	again, _ := refresh(170)
	got := [][]string{two, three, one, again}
	want := [][]string{
		{"kube_session", "kube_session_1"}, {"kube_session", "kube_session_1", "kube_session_2"}, {"kube_session"}, {"kube_session", "kube_session_1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the cookies are %v, want %v", got, want)
	}
	if n := s.issuer.Reuses.Load(); n > 0 {
		t.Errorf("%d tokens were used twice", n)
	}
}
