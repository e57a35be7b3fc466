// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

const user = "document.getElementById('user') ? document.getElementById('user').innerText : ''"

func TestChromiumLogsInByAFormAndComesToThePageThatItOpened(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	page := newProfile(t).tab()
	deep := s.url("/pods/a%20b?namespace=x&q=%2F%2Fy&z")
	page.open(deep)
	page.wantIssuer(s)
	page.submit("alice")
	page.wantAt(deep)
	page.want(user, "alice")
	received := s.navigations()
	if len(received) != 1 || received[0].Line != "GET /pods/a%20b?namespace=x&q=%2F%2Fy&z HTTP/1.1" || received[0].Header.Get("X-Groups") != "dev,ops" ||
		testissuer.Claim(t, tokenIn(received[0]), "sub") != "alice" || len(received[0].Header["Cookie"]) > 0 {
		t.Errorf("the upstream received %+v", received)
	}
	for _, c := range page.profile.cookies() {
		if strings.HasPrefix(c.Name, "kube_") && (!c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || c.Domain != host) {
			t.Errorf("cookie %+v", c)
		}
	}
	s.wantNoSecrets(t)
}

func TestChromiumLogsInByRedirectsAloneAndSeesNoPageOfOurs(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{})
	page := newProfile(t).tab()
	page.open(s.url("/pods"))
	page.wantAt(s.url("/pods"))
	page.want(user, "alice")
	if _, entries := page.history(); !reflect.DeepEqual(visited(entries), []string{s.url("/pods")}) {
		t.Errorf("the history is %v", visited(entries))
	}
}

func TestChromiumLogsInInTwoTabsAtOnce(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	p := newProfile(t)
	one, two := p.tab(), p.tab()
	one.open(s.url("/one"))
	two.open(s.url("/two"))
	one.wantIssuer(s)
	two.wantIssuer(s)
	two.submit("alice")
	two.wantAt(s.url("/two"))
	one.submit("alice")
	one.wantAt(s.url("/one"))
	one.want(user, "alice")
	two.want(user, "alice")
}

func TestChromiumRestoresTenTabs(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{before: "log"})
	p := newProfile(t)
	var tabs []*tab
	for i := range 10 {
		tabs = append(tabs, p.tab())
		tabs[i].open(s.url(fmt.Sprintf("/tab/%d", i)))
	}
	for i, one := range tabs {
		one.wantAt(s.url(fmt.Sprintf("/tab/%d", i)))
		one.want(user, "alice")
	}
	length := 0
	for name, value := range p.sessionCookies() {
		length += len(name) + len(value) + 3
	}
	if names := len(p.sessionCookies()); names != 2 || length > 8<<10 {
		t.Errorf("there are %d cookies of %d bytes", names, length)
	}
	for _, line := range s.accesses(t) {
		if line.Status >= 400 {
			t.Errorf("%s has the status %d", line.Request.URI, line.Status)
		}
	}
}

func TestChromiumGoesBackOntoTheCallback(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	page := newProfile(t).tab()
	page.open(s.url("/pods?a=b"))
	page.wantIssuer(s)
	callback := make(chan string, 1)
	s.issuer.OnCallback(func(given map[string]string) {
		callback <- s.url("/kube-identity/callback?" + url.Values{"code": {given["code"]}, "state": {given["state"]}, "iss": {given["iss"]}}.Encode())
	})
	page.submit("alice")
	page.wantAt(s.url("/pods?a=b"))
	page.open("about:blank")
	page.wantAt("about:blank")
	page.open(<-callback)
	page.wantAt(s.url("/pods?a=b"))
	page.want(user, "alice")
	current, entries := page.history()
	page.goTo(entries[current-1].ID)
	page.wantAt("about:blank")
	page.goTo(entries[current].ID)
	page.wantAt(s.url("/pods?a=b"))
	if n := s.issuer.Exchanges.Load(); n != 1 {
		t.Errorf("%d codes were redeemed", n)
	}
}

// A login that is finished after eleven minutes begins again, and ends without another form. The
// state is an old one, as the browser has it after that time.
func TestChromiumFinishesALoginThatWasLeftOpen(t *testing.T) {
	file, jar := newKeyFile(t)
	s := newDashboard(t, interactive(), siteOptions{session: "key_file " + file})
	page := newProfile(t).tab()
	page.open(s.url("/pods?a=b"))
	page.wantIssuer(s)
	authorization := page.text("location.href")
	place, cookies := session.Site{Host: host}, []string{"kube_login=" + page.profile.sessionCookies()["kube_login"]}
	binding, err := jar.OpenBinding(t.Context(), cookies, place, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	attempt, verdict, err := jar.OpenState(t.Context(), parameter(t, authorization, "state"), binding, place, time.Now())
	if err != nil || verdict != session.StateGood {
		t.Fatalf("the state is %s, %v", verdict, err)
	}
	attempt.Started = attempt.Started.Add(-11 * time.Minute)
	state, err := jar.SealState(attempt, binding, place)
	if err != nil {
		t.Fatal(err)
	}
	page.open(withParameter(t, authorization, "state", state))
	page.wantIssuer(s)
	asked := s.issuer.Authorizations.Load()
	page.submit("alice")
	page.wantAt(s.url("/pods?a=b"))
	page.want(user, "alice")
	if posted, exchanged := s.issuer.Authorizations.Load()-asked, s.issuer.Exchanges.Load(); posted != 2 || exchanged != 1 {
		t.Errorf("the issuer was asked %d times, and %d codes were redeemed", posted, exchanged)
	}
}

func TestChromiumOpensTheCallbackOfAnAttacker(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{})
	attacker, victim := newProfile(t).tab(), newProfile(t).tab()
	attacker.open(s.url("/attackers/page"))
	attacker.wantIssuer(s)
	// The attacker keeps the callback, with a code for bob and a state of the attacker's, for the victim.
	s.issuer.OnCallback(func(callback map[string]string) { callback["iss"] = "https://elsewhere.example" })
	attacker.submit("bob")
	attacker.wantHeading("This login cannot be finished")
	s.issuer.OnCallback(nil)
	callback := withParameter(t, attacker.text("location.href"), "iss", s.issuer.URL)
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Fatalf("%d codes were redeemed", n)
	}
	victim.open(callback)
	victim.wantIssuer(s)
	if n, cookies := s.issuer.Exchanges.Load(), victim.profile.sessionCookies(); n != 0 || cookies["kube_session"] != "" {
		t.Errorf("%d codes were redeemed, the victim has %v", n, cookies)
	}
	victim.submit("alice")
	victim.want(user, "alice")
}
