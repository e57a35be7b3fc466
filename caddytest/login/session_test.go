// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

func TestOnlyNavigationsAreSentToLogIn(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	html := "Accept: text/html"
	navigates := func(destination string, more ...string) []string {
		return append([]string{html, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: " + destination}, more...)
	}
	for name, test := range map[string]struct {
		method string
		fields []string
		login  bool
	}{
		"a page":                          {http.MethodGet, opens(), true},
		"a navigation of a worker":        {http.MethodGet, navigates("empty"), true},
		"an old browser":                  {http.MethodGet, []string{html}, true},
		"a link of another site":          {http.MethodGet, navigates("document", "Sec-Fetch-Site: cross-site"), true},
		"fetch":                           {http.MethodGet, fetches(), false},
		"XHR of an old browser":           {http.MethodGet, []string{html, "X-Requested-With: XMLHttpRequest"}, false},
		"EventSource":                     {http.MethodGet, []string{"Accept: text/event-stream", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, false},
		"an image":                        {http.MethodGet, []string{"Accept: image/*", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, false},
		"a script":                        {http.MethodGet, []string{"Accept: */*", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"}, false},
		"a beacon":                        {http.MethodPost, []string{"Accept: */*", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"}, false},
		"a frame":                         {http.MethodGet, navigates("iframe"), false},
		"an embedded page":                {http.MethodGet, navigates("embed"), false},
		"a prefetch":                      {http.MethodGet, navigates("document", "Sec-Purpose: prefetch"), false},
		"a prerender":                     {http.MethodGet, navigates("document", "Sec-Purpose: prefetch;prerender"), false},
		"a form":                          {http.MethodPost, opens(), false},
		"HEAD":                            {http.MethodHead, opens(), false},
		"curl":                            {http.MethodGet, []string{"Accept: */*"}, false},
		"kubectl":                         {http.MethodGet, []string{"Accept: application/json"}, false},
		"a page with a bearer token":      {http.MethodGet, append(opens(), "Authorization: Bearer x"), false},
		"a page with a password":          {http.MethodGet, append(opens(), "Authorization: Basic eDp5"), true},
		"a page of an old one with Basic": {http.MethodGet, []string{html, "Authorization: Basic eDp5"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.window(t)
			answer := w.ask(test.method, "/a", test.fields)
			cookies := len(answer.header["Set-Cookie"])
			if test.login && (answer.status != http.StatusSeeOther || cookies != 1 || answer.header.Get("Cache-Control") != "no-store") {
				t.Errorf("status %d with %d cookies", answer.status, cookies)
			}
			if !test.login && (answer.status != http.StatusUnauthorized || cookies != 0 || answer.location != "" || answer.header.Get("WWW-Authenticate") != "Bearer") {
				t.Errorf("status %d with %d cookies, to %q, header %v", answer.status, cookies, answer.location, answer.header)
			}
			s.CheckNothing(t)
		})
	}
	t.Run("a websocket", func(t *testing.T) {
		status, header := s.send(t, "GET /a HTTP/1.1", []string{
			"Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + host, "Sec-Fetch-Mode: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey,
		})
		if status != http.StatusUnauthorized || len(header["Set-Cookie"]) > 0 {
			t.Errorf("status %d, cookies %v", status, header["Set-Cookie"])
		}
	})
}

func TestABearerTokenCountsMoreThanASession(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{Users: users()}, siteOptions{oidc: "token_header X-Id-Token"})
	w := s.window(t)
	w.login("/")
	other := s.window(t)
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
	other.login("/")
	token := tokenIn(other.wantUser("bob"))

	w.wantUser("alice")
	w.wantUser("bob", "Authorization: Bearer "+token)
	w.wantUser("bob", "Authorization: bearer "+token)
	w.wantUser("bob", "X-Id-Token: "+token)
	w.wantUser("bob", "Sec-WebSocket-Protocol: "+testhandler.BearerSubprotocol(token))
	w.wantUser("alice", "Authorization: Basic eDp5")
	w.wantUser("alice", "Authorization: Basic")
	w.wantUser("alice", "X-Id-Token: -")
	for _, bad := range []string{"Authorization: Bearer bad", "Authorization: bearer", "X-Id-Token: bad"} {
		if answer := w.ask(http.MethodGet, "/api", append(fetches(), bad)); answer.status != http.StatusUnauthorized && answer.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", bad, answer.status)
		}
	}
	s.CheckNothing(t)
}

func users() map[string]testissuer.User {
	return map[string]testissuer.User{
		"alice": {Password: "alice-password", Claims: map[string]any{"groups": []string{"dev", "ops"}}},
		"bob":   {Password: "bob-password", Claims: map[string]any{"groups": []string{"dev"}}},
	}
}

func TestACookieThatIsThereTwiceIsNoSession(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	cookie := "kube_session=" + w.cookies()["kube_session"]
	bare := s.window(t)
	for name, fields := range map[string][]string{
		"in one line":          {"Cookie: " + cookie + "; " + cookie},
		"in two lines":         {"Cookie: " + cookie, "Cookie: " + cookie},
		"with a planted value": {"Cookie: kube_session=planted; " + cookie},
	} {
		answer := bare.ask(http.MethodGet, "/api", append(fetches(), fields...))
		if answer.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, answer.status)
		}
		s.CheckNothing(t)
		if refusals := s.Refusals(t); refusals[len(refusals)-1].Reason != "no credential: the request has a session cookie twice" {
			t.Errorf("%s: the log says %q", name, refusals[len(refusals)-1].Reason)
		}
	}
	if answer := bare.ask(http.MethodGet, "/api", append(fetches(), "Cookie: a=b; "+cookie)); answer.status != http.StatusOK {
		t.Errorf("once: status %d", answer.status)
	}
}

func TestASessionOfAnotherSiteIsNone(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	cookie := "Cookie: kube_session=" + w.cookies()["kube_session"]
	bare := s.window(t)
	if answer := bare.ask(http.MethodGet, "http://other.localhost/api", append(fetches(), cookie)); answer.status != http.StatusUnauthorized {
		t.Errorf("status %d", answer.status)
	}
	swapped := "Cookie: kube_session=" + w.cookies()["kube_login"]
	if answer := bare.ask(http.MethodGet, "/api", append(fetches(), swapped)); answer.status != http.StatusUnauthorized {
		t.Errorf("the binding as a session: status %d", answer.status)
	}
	s.CheckNothing(t)
}

func TestADamagedCookieIsNone(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	good := w.cookies()["kube_session"]
	bare := s.window(t)
	damaged := []string{"", "x", good + "A", good[:len(good)-1], good[1:], good + good, strings.ToUpper(good)}
	for i := 0; i < len(good); i += 7 {
		flipped := []byte(good)
		flipped[i] = "AB"[len(good)%2]
		if flipped[i] == good[i] {
			flipped[i] = 'C'
		}
		damaged = append(damaged, string(flipped))
	}
	for _, value := range damaged {
		if answer := bare.ask(http.MethodGet, "/api", append(fetches(), "Cookie: kube_session="+value)); answer.status != http.StatusUnauthorized {
			t.Errorf("%q: status %d", value, answer.status)
		}
	}
	s.CheckNothing(t)
	if answer := bare.ask(http.MethodGet, "/a", append(opens(), "Cookie: kube_session=x")); answer.status != http.StatusSeeOther {
		t.Errorf("a page: status %d", answer.status)
	}
}

func TestCookiesOfTheSessionNeverReachTheUpstream(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	value := w.cookies()["kube_session"]
	bare := s.window(t)
	fields := append(fetches(), "Cookie: app=1; kube_session="+value+"; KUBE_SESSION=a; Kube_Login=b;  __Host-kube_session=c; __host-KUBE_session_1=d; other=2",
		"Cookie: __Secure-kube_login=e; kube_session_1=x", "cookie: last=3")
	answer := bare.ask(http.MethodGet, "/api", fields)
	received := s.Upstream.Take()
	// The second chunk makes the set incomplete, so there is no session; the next request has one.
	if answer.status != http.StatusUnauthorized || len(received) != 0 {
		t.Fatalf("status %d, received %v", answer.status, received)
	}
	fields[len(fields)-2] = "Cookie: __Secure-kube_login=e"
	answer = bare.ask(http.MethodGet, "/api", fields)
	received = s.Upstream.Take()
	if answer.status != http.StatusOK || len(received) != 1 {
		t.Fatalf("status %d, received %v", answer.status, received)
	}
	got := strings.Join(received[0].Header["Cookie"], "|")
	if strings.Contains(strings.ToLower(got), "kube_") || !strings.Contains(got, "app=1") || !strings.Contains(got, "other=2") || !strings.Contains(got, "last=3") {
		t.Errorf("the upstream received %q", got)
	}
}

// planter is an upstream that sets cookies with the session's names.
func planter(conn net.Conn, _ *bufio.Reader, _ testhandler.Received) bool {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+
		"Set-Cookie: kube_session=planted; Path=/\r\nSet-Cookie: Kube_Session=planted\r\nSet-Cookie: kube_login=planted\r\n"+
		"Set-Cookie: __host-kube_session=planted\r\nSet-Cookie: kube_session_1=planted\r\nSet-Cookie: app=own\r\n\r\n")
	return err == nil
}

func TestAnUpstreamSetsNoCookieOfTheSession(t *testing.T) {
	s := newSiteWith(t, testhandler.NewUpstreamWith(t, planter), testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	before := w.cookies()["kube_session"]
	answer := w.fetch("/api")
	if got := answer.header["Set-Cookie"]; len(got) != 1 || got[0] != "app=own" {
		t.Errorf("the browser gets %q", got)
	}
	if w.cookies()["kube_session"] != before {
		t.Error("the session was overwritten")
	}
}

func TestOtherSitesPagesCannotUseTheSession(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	post := func(fields ...string) int { return w.ask(http.MethodPost, "/api", fields, "x").status }
	if status := post("Sec-Fetch-Site: cross-site", "Origin: https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a form of another site: status %d", status)
	}
	if status := post("Sec-Fetch-Site: same-origin", "Origin: http://"+host); status != http.StatusOK {
		t.Errorf("a form of this site: status %d", status)
	}
	cookie := "Cookie: kube_session=" + w.cookies()["kube_session"]
	for origin, want := range map[string]int{"https://evil.example": http.StatusForbidden, "http://" + host: http.StatusSwitchingProtocols} {
		status, _ := s.send(t, "GET /ws HTTP/1.1", []string{
			"Connection: Upgrade", "Upgrade: websocket", "Origin: " + origin, cookie,
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey,
		})
		if status != want {
			t.Errorf("a websocket of %s: status %d, want %d", origin, status, want)
		}
	}
}

func TestAPolicyRefusesTheUserWithoutALoop(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{Users: users()}, siteOptions{handler: "deny_users bob"})
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
	w := s.window(t)
	w.login("/a")
	answer := w.open("/a")
	if answer.status != http.StatusForbidden || !strings.Contains(answer.text, "/kube-identity/login?switch=1") || strings.Contains(answer.text, "bob") {
		t.Errorf("status %d, page %s", answer.status, answer.text)
	}
	if answer := w.fetch("/a"); answer.status != http.StatusForbidden {
		t.Errorf("fetch: status %d", answer.status)
	}
	s.CheckNothing(t)
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "alice" })
	fields := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin"}
	start := w.ask(http.MethodGet, "/kube-identity/login?switch=1", fields)
	if parameter(t, start.location, "prompt") != "select_account" {
		t.Fatalf("status %d, location %q", start.status, start.location)
	}
	if done := w.open(w.open(start.location).location); done.status != http.StatusSeeOther {
		t.Fatalf("the callback has the status %d", done.status)
	}
	w.wantUser("alice")
}

func TestAnonymousBesideALogin(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{handler: "anonymous"})
	w := s.window(t)
	if answer := w.open("/a"); answer.status != http.StatusOK {
		t.Errorf("a page: status %d, location %q", answer.status, answer.location)
	}
	s.Upstream.Take()
	start := w.open("/kube-identity/login?to=/b")
	if got := w.open(w.open(start.location).location).location; got != "http://"+host+"/b" {
		t.Errorf("the browser comes to %q", got)
	}
	w.wantUser("alice")
}

func TestWithoutCookiesALoginEndsOnAPage(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	to := w.open("/a").location
	for n := 1; ; n++ {
		w.client.Jar = s.window(t).client.Jar // the browser keeps no cookies
		answer := w.open(w.open(to).location)
		if answer.status == http.StatusBadRequest && strings.Contains(answer.text, "Are cookies blocked") {
			break
		}
		if answer.status != http.StatusSeeOther || n > 5 {
			t.Fatalf("round %d: status %d\n%s", n, answer.status, answer.text)
		}
		to = answer.location
	}
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
}

func TestASessionThatIsDroppedEndsOnAPage(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	for n := range 4 {
		answer := w.open("/a")
		if n == 3 {
			if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "round in circles") {
				t.Errorf("status %d\n%s", answer.status, answer.text)
			}
			return
		}
		w.open(w.open(answer.location).location)
		w.set("kube_session", "") // it is lost on the way
	}
}

func TestPlainHTTPNeedsTheOption(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	answer := w.open("http://name.test/a")
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "insecure_http") || len(answer.header["Set-Cookie"]) > 0 {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	if answer := w.ask(http.MethodGet, "http://name.test/a", fetches()); answer.status != http.StatusUnauthorized {
		t.Errorf("fetch: status %d", answer.status)
	}
	s = newSite(t, testissuer.LoginConfig{}, siteOptions{session: "insecure_http"})
	if answer := s.window(t).open("http://name.test/a"); answer.status != http.StatusSeeOther {
		t.Errorf("with the option: status %d", answer.status)
	}
}

func TestBehindATrustedProxyThatEndsTLS(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{handler: "trusted_proxies static 127.0.0.1"})
	w := s.window(t)
	answer := w.ask(http.MethodGet, "http://inner.test/a", append(opens(), "X-Forwarded-Proto: https", "X-Forwarded-Host: Dash.example:443"))
	if redirect := parameter(t, answer.location, "redirect_uri"); redirect != "https://dash.example/kube-identity/callback" {
		t.Errorf("redirect_uri %q", redirect)
	}
	cookies := answer.header["Set-Cookie"]
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0], "__Host-kube_login=") || !strings.Contains(cookies[0], "; Secure") ||
		!strings.Contains(cookies[0], "HttpOnly") || !strings.Contains(cookies[0], "SameSite=Lax") || !strings.Contains(cookies[0], "Path=/;") {
		t.Errorf("cookies %q", cookies)
	}
}

func TestTheErrorsOfTheIssuer(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	for code, want := range map[string]int{
		"access_denied": http.StatusForbidden, "login_required": http.StatusServiceUnavailable, "server_error": http.StatusServiceUnavailable,
		"temporarily_unavailable": http.StatusServiceUnavailable, "invalid_scope": http.StatusBadGateway, "<script>": http.StatusBadGateway,
	} {
		callback := withParameter(t, withParameter(t, w.toCallback("/a"), "code", ""), "error", code)
		answer := w.open(callback + "&error_description=%3Cscript%3Edescription")
		if answer.status != want || strings.Contains(answer.text, "script>") || answer.location != "" {
			t.Errorf("%s: status %d, want %d\n%s", code, answer.status, want, answer.text)
		}
	}
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
}

func TestTheSessionAsJSON(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	if answer := w.fetch("/kube-identity/session"); answer.status != http.StatusUnauthorized {
		t.Errorf("without a session: status %d", answer.status)
	}
	w.login("/")
	answer := w.fetch("/kube-identity/session")
	if answer.status != http.StatusOK || !strings.HasPrefix(answer.text, `{"expires":"`) || !strings.HasSuffix(answer.text, `","groups":["dev","ops"],"user":"alice"}`+"\n") {
		t.Errorf("status %d, %s", answer.status, answer.text)
	}
	if answer := w.ask(http.MethodGet, "/kube-identity/session", []string{"Sec-Fetch-Site: cross-site"}); answer.status != http.StatusForbidden {
		t.Errorf("of another site: status %d", answer.status)
	}
	s.CheckNothing(t)
}
