// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// expire takes the session away while a page is open.
func (s *site) expire(b *tab) {
	b.t.Helper()
	b.profile.forget()
	s.issuer.EndSessions()
}

func TestChromiumsRequestsOfAPageWithoutASession(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{before: "log"})
	page := newProfile(t).tab()
	page.open(s.url("/page"))
	page.want(user, "alice")
	s.expire(page)
	asked := s.issuer.Authorizations.Load()
	for script, want := range map[string]any{
		`fetch("/fetch").then(a => a.status + " " + a.redirected)`:                                                                                            "401 false",
		`new Promise(done => { const x = new XMLHttpRequest(); x.open("GET", "/xhr"); x.onloadend = () => done(x.status); x.send() })`:                        401.0,
		`new Promise(done => { const e = new EventSource("/source"); e.onerror = () => done(e.readyState); e.onopen = () => done("open") })`:                  2.0,
		`new Promise(done => { const s = new WebSocket("ws://" + location.host + "/socket"); s.onclose = e => done(e.code); s.onopen = () => done("open") })`: 1006.0,
		`new Promise(done => { const i = new Image(); i.onerror = () => done("refused"); i.onload = () => done("loaded"); i.src = "/image" })`:                "refused",
		`new Promise(done => { const s = document.createElement("script"); s.onerror = () => done("refused"); s.onload = () => done("loaded");
			s.src = "/script"; document.body.append(s) })`: "refused",
		`navigator.sendBeacon("/beacon", "x")`: true,
	} {
		if got := page.run(script); got != want {
			t.Errorf("%s: %v, want %v", script, got, want)
		}
	}
	for _, path := range []string{"/fetch", "/xhr", "/source", "/socket", "/image", "/script", "/beacon"} {
		if got := s.access(t, path); got.Status != http.StatusUnauthorized || got.Header["Set-Cookie"] != nil || got.Header["Location"] != nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if n, cookies := s.issuer.Authorizations.Load(), page.profile.sessionCookies(); n != asked || len(cookies) > 0 {
		t.Errorf("the issuer was asked %d times, and there are the cookies %v", n-asked, cookies)
	}
}

func TestChromiumNavigatesWithoutTheUser(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{before: "log"})
	page := newProfile(t).tab()
	page.open(s.url("/page"))
	page.want(user, "alice")
	s.expire(page)
	asked := s.issuer.Authorizations.Load()
	purposes := map[string]string{"/framed": "", "/link": "prefetch", "/prefetched": "prefetch", "/prerendered": "prefetch;prerender"}
	page.run(`const add = (name, fields) => document.head.append(Object.assign(document.createElement(name), fields))
		add("link", {rel: "prefetch", href: "/link"})
		add("script", {type: "speculationrules", textContent: JSON.stringify({
			prefetch: [{source: "list", urls: ["/prefetched"], eagerness: "immediate"}],
			prerender: [{source: "list", urls: ["/prerendered"], eagerness: "immediate"}]})})
		document.body.append(Object.assign(document.createElement("iframe"), {src: "/framed"}))`)
	for path, purpose := range purposes {
		got := s.access(t, path)
		if got.Status != http.StatusUnauthorized || got.Header["Set-Cookie"] != nil || got.Request.Header.Get("Sec-Purpose") != purpose {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if n, cookies := s.issuer.Authorizations.Load(), page.profile.sessionCookies(); n != asked || len(cookies) > 0 {
		t.Errorf("the issuer was asked %d times, and there are the cookies %v", n-asked, cookies)
	}
	// The user's own navigation, to a page that was fetched ahead.
	for _, path := range []string{"/prefetched", "/prerendered", "/link"} {
		page.run("location.href = " + quote(s.url(path)))
		page.wantAt(s.url(path))
		page.want(user, "alice")
	}
}

func TestChromiumLogsInBehindAServiceWorker(t *testing.T) {
	s := newDashboard(t, interactive(), siteOptions{before: "log"})
	page := newProfile(t).tab()
	page.open(s.url("/page"))
	page.wantIssuer(s)
	page.submit("alice")
	page.want(user, "alice")
	page.run(`navigator.serviceWorker.register("/worker.js").then(() => navigator.serviceWorker.ready).then(() => 1)`)
	page.want("navigator.serviceWorker.controller !== null", true)
	s.expire(page)
	s.Upstream.Take()
	page.open(s.url("/pods?a=b"))
	page.wantIssuer(s)
	page.submit("alice")
	page.wantAt(s.url("/pods?a=b"))
	page.want(user, "alice")
	received := s.navigations()
	if len(received) != 1 || received[0].Header.Get("Sec-Fetch-Mode") != "navigate" || received[0].Header.Get("Sec-Fetch-Dest") != "empty" {
		t.Errorf("the upstream received %+v", received)
	}
}

func TestChromiumOverPlainHTTP(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{})
	page := newProfile(t).tab()
	named := "http://name.test:" + s.port() + "/pods"
	page.open(named)
	page.wantHeading("Logging in needs https")
	if text := page.text("document.body.innerText"); !strings.Contains(text, "insecure_http") {
		t.Errorf("the page says %s", text)
	}
	page.open(s.url("/pods")) // localhost
	page.want(user, "alice")
	s.options.session = "insecure_http"
	s.reload(t)
	named = "http://name.test:" + s.port() + "/pods"
	page.open(named)
	page.wantAt(named)
	page.want(user, "alice")
}

// A return path never leads to another site, as the browser's own parser reads it. The strings
// are also opened below the site, as a link does.
func TestChromiumReturnsToThisSiteOnly(t *testing.T) {
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{})
	page := newProfile(t).tab()
	origin := strings.TrimSuffix(s.url("/"), "/")
	for _, to := range hostile {
		page.open(s.url("/kube-identity/login?to=") + strings.ReplaceAll(page.text("encodeURIComponent("+quote(to)+")"), "+", "%2B"))
		page.wantHeading("The link is not good")
		if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "/kube-identity") || strings.HasPrefix(to, "/%6b") {
			continue
		}
		page.profile.forget()
		page.open(origin + to)
		page.want("document.readyState === 'complete' && "+user, "alice")
		if at := page.text("location.origin"); at != origin {
			t.Errorf("%q leads to %s", to, at)
		}
	}
	for _, to := range []string{"/", "/pods?to=//evil.example", "/a//b", "/?%2f%2fevil"} {
		page.profile.forget()
		page.open(s.url("/kube-identity/login?to=") + page.text("encodeURIComponent("+quote(to)+")"))
		page.wantAt(origin + to)
	}
}

// A page of a host below can set cookies for the host above: with a longer path, in another case,
// without a name.
func TestChromiumGetsCookiesFromASubdomain(t *testing.T) {
	certFile, keyFile := newCertificate(t, "dash.test", "sub.dash.test")
	s := newDashboard(t, interactive(), siteOptions{
		address: "https://dash.test:0",
		before:  "tls " + certFile + " " + keyFile,
		more: `https://sub.dash.test:0 {
	tls ` + certFile + " " + keyFile + `
	respond /toss "tossed"
	header /toss {
		+Set-Cookie "__Host-kube_session=planted; Domain=dash.test; Path=/; Secure"
		+Set-Cookie "__host-kube_session=planted; Domain=dash.test; Path=/pods; Secure"
		+Set-Cookie "__HOST-KUBE_LOGIN=planted; Domain=dash.test; Path=/kube-identity; Secure"
		+Set-Cookie "__Host-kube_login=planted; Domain=dash.test; Path=/kube-identity; Secure"
		+Set-Cookie "kube_session=planted; Domain=dash.test; Path=/pods; Secure"
		+Set-Cookie "kube_login=planted; Domain=dash.test; Path=/kube-identity; Secure"
		+Set-Cookie "=__Host-kube_session=planted; Domain=dash.test; Path=/pods; Secure"
		+Set-Cookie "app=theirs; Domain=dash.test; Path=/; Secure"
	}
}
`,
	})
	page := newProfile(t).tab()
	base := "https://dash.test:" + s.port()
	toss := func() {
		t.Helper()
		page.open("https://sub.dash.test:" + s.port() + "/toss")
		page.want("document.body ? document.body.innerText : ''", "tossed")
	}
	toss()
	page.open(base + "/pods/a")
	page.wantIssuer(s)
	page.submit("alice")
	page.wantAt(base + "/pods/a")
	page.want(user, "alice")
	toss()
	s.Upstream.Take()
	page.open(base + "/pods/b")
	page.wantAt(base + "/pods/b")
	page.want(user, "alice")
	received := s.navigations()
	if len(received) != 1 || !reflect.DeepEqual(received[0].Header["Cookie"], []string{"app=theirs"}) {
		t.Errorf("the upstream received %+v", received)
	}
	var planted, own []string
	for _, c := range page.profile.cookies() {
		switch {
		case c.Value == "planted" || c.Value == "__Host-kube_session=planted":
			planted = append(planted, c.Name)
		case strings.HasPrefix(c.Name, "__Host-kube_") && c.Secure && c.HTTPOnly && c.Domain == "dash.test":
			own = append(own, c.Name)
		}
	}
	if len(own) != 2 || len(planted) == 0 {
		t.Errorf("own cookies %v, planted ones %v", own, planted)
	}
}
