// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// several is a site with two logins: Staff, which is the site's issuer, and "Guests of ours".
type several struct {
	*site

	guests *testissuer.Login
}

const guestsPath = "Guests-of-ours"

func newSeveral(t *testing.T, staff, guests testissuer.LoginConfig, options siteOptions) *several {
	t.Helper()
	guests.Users = map[string]testissuer.User{"gina": {Password: "gina-password"}}
	guests.User = "gina"
	s := &several{guests: testissuer.NewLogin(t, guests)}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("dash-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	options.login += "\nname Staff"
	options.handler += `
		oidc ` + s.guests.URL + ` {
			username_claim sub -
			login {
				client_id dash
				client_secret_file ` + secret + `
				name "Guests of ours"
			}
		}`
	s.site = newSite(t, staff, options)
	return s
}

// window can reach both issuers.
func (s *several) window(t *testing.T) *window {
	t.Helper()
	w := s.site.window(t)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != s.issuer.Addr && addr != s.guests.Addr {
			addr = s.Addr
		}
		return dial(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	w.client.Transport = transport
	return w
}

// asGuest starts the second login, and goes as far as the URL of the callback.
func (s *several) asGuest(t *testing.T, w *window, query string) string {
	t.Helper()
	start := w.open("/kube-identity/login/" + guestsPath + query)
	if start.status != http.StatusSeeOther || !strings.HasPrefix(start.location, s.guests.URL+"/authorize?") {
		t.Fatalf("status %d, location %q\n%s", start.status, start.location, start.text)
	}
	return w.open(start.location).location
}

// exchanges is how many codes both issuers have got.
func (s *several) exchanges() int64 { return s.issuer.Exchanges.Load() + s.guests.Exchanges.Load() }

func TestAPageGoesToTheFirstLoginAndEachHasACallbackOfItsOwn(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	start := w.open("/a?b=c")
	if redirect := parameter(t, start.location, "redirect_uri"); !strings.HasPrefix(start.location, s.issuer.URL) || redirect != "http://"+host+"/kube-identity/callback/Staff" {
		t.Fatalf("location %q", start.location)
	}
	if done := w.open(w.open(start.location).location); done.location != "http://"+host+"/a?b=c" {
		t.Fatalf("status %d, location %q", done.status, done.location)
	}
	w.wantUser("alice")
	callback := s.asGuest(t, w, "?to=/b")
	if !strings.HasPrefix(callback, "http://"+host+"/kube-identity/callback/"+guestsPath+"?") {
		t.Errorf("the callback is %q", callback)
	}
}

func TestAnotherLoginReplacesTheSession(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	old := "Cookie: kube_session=" + w.cookies()["kube_session"]
	if again := w.open("/kube-identity/login/Staff?to=/b"); again.location != "http://"+host+"/b" {
		t.Errorf("the login of the session: status %d, location %q", again.status, again.location)
	}
	if done := w.open(s.asGuest(t, w, "?to=/b")); done.location != "http://"+host+"/b" {
		t.Fatalf("status %d, location %q\n%s", done.status, done.location, done.text)
	}
	w.wantUser("gina")
	if answer := s.window(t).ask(http.MethodGet, "/api", append(fetches(), old)); answer.status != http.StatusUnauthorized {
		t.Errorf("the session before: status %d", answer.status)
	}
	out := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	if !strings.HasPrefix(out.location, s.guests.URL+testissuer.EndSessionPath) {
		t.Errorf("the logout goes to %q", out.location)
	}
	w.wantNobody()
}

func TestTheChooser(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	page := w.open("/kube-identity/login?to=" + url.QueryEscape("/a?b=c&d='") + "&switch=1")
	for _, link := range []string{
		`<a href="/kube-identity/login/Staff?switch=1&amp;to=%2Fa%3Fb%3Dc%26d%3D%27" target="_top">Staff</a>`,
		`<a href="/kube-identity/login/Guests-of-ours?switch=1&amp;to=%2Fa%3Fb%3Dc%26d%3D%27" target="_top">Guests of ours</a>`,
	} {
		if !strings.Contains(page.text, link) {
			t.Errorf("the page lacks %s:\n%s", link, page.text)
		}
	}
	if page.status != http.StatusOK || len(page.header["Set-Cookie"]) > 0 || len(page.text) > 2048 || strings.Contains(page.text, "<script") {
		t.Errorf("status %d, %d bytes, cookies %v", page.status, len(page.text), page.header["Set-Cookie"])
	}
	if page := w.open("/kube-identity/login"); !strings.Contains(page.text, `href="/kube-identity/login/Staff" `) {
		t.Errorf("without a query:\n%s", page.text)
	}
	for _, to := range hostile {
		if answer := w.open("/kube-identity/login?to=" + url.QueryEscape(to)); answer.status != http.StatusBadRequest || strings.Contains(answer.text, "evil") {
			t.Errorf("to=%q: status %d", to, answer.status)
		}
	}
	if answer := w.fetch("/kube-identity/login"); answer.status != http.StatusUnauthorized {
		t.Errorf("fetch: status %d", answer.status)
	}
	same := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin"}
	switched := w.ask(http.MethodGet, "/kube-identity/login/"+guestsPath+"?switch=1", same)
	if parameter(t, switched.location, "prompt") != "select_account" || !strings.HasPrefix(switched.location, s.guests.URL) {
		t.Errorf("as somebody else: location %q", switched.location)
	}
	s.CheckNothing(t)
}

func TestACodeOfOneIssuerAtTheCallbackOfTheOther(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	staff, guest := w.toCallback("/a"), s.asGuest(t, w, "")
	iss := func(issuer *testissuer.Login) string { return issuer.URL }
	for name, target := range map[string]string{
		"a callback at the other's path":           strings.Replace(staff, "/callback/Staff?", "/callback/"+guestsPath+"?", 1),
		"the other way round":                      strings.Replace(guest, "/callback/"+guestsPath+"?", "/callback/Staff?", 1),
		"a callback at the other's, with its iss":  withParameter(t, strings.Replace(staff, "/callback/Staff?", "/callback/"+guestsPath+"?", 1), "iss", iss(s.guests)),
		"the other's code and iss":                 withParameter(t, withParameter(t, staff, "code", parameter(t, guest, "code")), "iss", iss(s.guests)),
		"no iss":                                   withParameter(t, guest, "iss", ""),
		"an error of the other issuer":             withParameter(t, withParameter(t, withParameter(t, staff, "code", ""), "error", "access_denied"), "iss", iss(s.guests)),
		"the callback of a site with one login":    strings.Replace(staff, "/callback/Staff?", "/callback?", 1),
		"the callback of a login that is not one":  strings.Replace(staff, "/callback/Staff?", "/callback/Nobody?", 1),
		"the callback with another case":           strings.Replace(staff, "/callback/Staff?", "/callback/staff?", 1),
		"the callback with a slash at the end":     strings.Replace(staff, "/callback/Staff?", "/callback/Staff/?", 1),
		"the callback with an encoded letter":      strings.Replace(staff, "/callback/Staff?", "/callback/%53taff?", 1),
		"the callback with two names":              strings.Replace(staff, "/callback/Staff?", "/callback/Staff/"+guestsPath+"?", 1),
		"the callback with a name of dots":         strings.Replace(staff, "/callback/Staff?", "/callback/../callback/Staff?", 1),
		"a login that is not one":                  "/kube-identity/login/Nobody",
		"a login with a slash at the end":          "/kube-identity/login/",
		"a login with a name that begins a path":   "/kube-identity/login/Staff/more",
		"a login with a name in another spelling":  "/kube-identity/login/Guests%20of%20ours",
		"a logout with a name, which has no place": "/kube-identity/logout/Staff",
	} {
		answer := w.open(target)
		if answer.status != http.StatusBadRequest && answer.status != http.StatusNotFound || answer.location != "" {
			t.Errorf("%s: status %d, location %q", name, answer.status, answer.location)
		}
	}
	if n := s.exchanges(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	s.CheckNothing(t)
	if done := w.open(guest); done.status != http.StatusSeeOther || s.exchanges() != 1 {
		t.Errorf("afterwards: status %d, %d codes were redeemed", done.status, s.exchanges())
	}
	w.wantUser("gina")
}

// A thief of the key cannot have one issuer's token judged by the other's source either.
func TestASessionIsJudgedByTheSourceOfItsLoginAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{session: "key_file " + file})
	keys, err := session.KeysFromFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := session.NewJar(session.JarConfig{Keys: keys, Limits: session.Limits{Lifetime: 12 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	opened := func(w *window) *session.Session {
		t.Helper()
		got, err := jar.Open(t.Context(), []string{"kube_session=" + w.cookies()["kube_session"]}, session.Site{Host: host}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	w := s.window(t)
	w.login("/")
	staff := opened(w)
	w.open(s.asGuest(t, w, ""))
	guest := opened(w)
	for token, want := range map[string]int{guest.IDToken: http.StatusOK, staff.IDToken: http.StatusUnauthorized} {
		forged := session.New(guest.Source, time.Now())
		forged.IDToken, forged.Nonce = token, staff.Nonce
		lines, err := jar.Seal(forged, session.Site{Host: host}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pair, _, _ := strings.Cut(lines[0], ";")
		if answer := s.window(t).ask(http.MethodGet, "/api", append(fetches(), "Cookie: "+pair)); answer.status != want {
			t.Errorf("status %d, want %d", answer.status, want)
		}
	}
}

func TestASessionThatHasEndedGoesBackToItsOwnIssuer(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{TokenLife: 2 * time.Second, OfflineAccess: true}, siteOptions{})
	w := s.window(t)
	w.open(s.asGuest(t, w, ""))
	w.wantUser("gina")
	testhandler.WaitUntil(t, "the ID token has expired", func() bool { return w.fetch("/api").status == http.StatusUnauthorized })
	if answer := w.open("/a"); !strings.HasPrefix(answer.location, s.guests.URL) {
		t.Errorf("status %d, location %q", answer.status, answer.location)
	}
	if answer := s.window(t).open("/a"); !strings.HasPrefix(answer.location, s.issuer.URL) {
		t.Errorf("a browser without a session: location %q", answer.location)
	}
}

func TestEachSessionIsRefreshedByItsOwnIssuer(t *testing.T) {
	s := newSeveral(t, short(), short(), siteOptions{login: "refresh 1h"})
	w, guest := s.window(t), s.window(t)
	w.login("/")
	guest.open(s.asGuest(t, guest, ""))
	time.Sleep(due)
	w.wantUser("alice")
	guest.wantUser("gina")
	if a, b := s.issuer.Refreshes.Load(), s.guests.Refreshes.Load(); a != 1 || b != 1 {
		t.Errorf("%d and %d refreshes", a, b)
	}
}

func TestAnonymousBesideSeveralLogins(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{session: "post_logout_url /bye"})
	s.options.handler += "\nanonymous"
	s.reload(t)
	w := s.window(t)
	anonymous := func(when string) {
		t.Helper()
		s.Upstream.Take()
		answer := w.open("/a")
		received := s.Upstream.Take()
		if answer.status != http.StatusOK || len(received) != 1 || received[0].Header.Get("X-User") != "system:anonymous" {
			t.Errorf("%s: status %d, the upstream received %v", when, answer.status, received)
		}
	}
	anonymous("before the login")
	if page := w.open("/kube-identity/login?to=/b"); !strings.Contains(page.text, "/kube-identity/login/Staff?to=%2Fb") {
		t.Errorf("the chooser:\n%s", page.text)
	}
	if done := w.open(s.asGuest(t, w, "?to=/b")); done.location != "http://"+host+"/b" {
		t.Errorf("status %d, location %q", done.status, done.location)
	}
	w.wantUser("gina")
	w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	anonymous("after the logout")
}

func TestALoopWithSeveralLoginsOffersTheChooser(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	for range 3 {
		w.login("/a")
		w.set("kube_session", "")
	}
	answer := w.open("/a")
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, `<a href="/kube-identity/login" target="_top">`) {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
}

func TestASessionOfALoginThatWasTakenAwayIsNone(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.open(s.asGuest(t, w, ""))
	w.wantUser("gina")
	s.options.handler = ""
	s.reload(t)
	w.wantNobody()
	if got := w.login("/a"); got != "http://"+host+"/a" {
		t.Errorf("the browser comes to %q", got)
	}
	w.wantUser("alice")
}

func TestALoginBelowAPathThatIsStripped(t *testing.T) {
	s := newSeveral(t, testissuer.LoginConfig{}, testissuer.LoginConfig{}, siteOptions{before: "uri strip_prefix /apps", session: "path /apps/kube-identity"})
	w := s.window(t)
	if page := w.open("/apps/kube-identity/login?to=/apps/a"); !strings.Contains(page.text, `href="/apps/kube-identity/login/Staff?to=%2Fapps%2Fa"`) {
		t.Fatalf("the chooser: status %d\n%s", page.status, page.text)
	}
	start := w.open("/apps/kube-identity/login/Staff?to=/apps/a")
	if redirect := parameter(t, start.location, "redirect_uri"); redirect != "http://"+host+"/apps/kube-identity/callback/Staff" {
		t.Fatalf("redirect_uri %q", redirect)
	}
	if done := w.open(w.open(start.location).location); done.location != "http://"+host+"/apps/a" {
		t.Errorf("status %d, location %q", done.status, done.location)
	}
	w.wantUser("alice")
}
