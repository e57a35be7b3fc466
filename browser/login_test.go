// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A browser that navigates to a page is sent to the login. Other clients get the 401 itself.
func TestLoginIsForBrowsersThatGoToAPage(t *testing.T) {
	bearer := unauthorized("Bearer")
	runLogin(t, []loginTest{
		{name: "a browser goes to a page", request: page + navigate, want: redirected(toLogin)},
		{name: "over plain HTTP a browser is recognized by Accept", request: page + html, want: redirected(toLogin)},
		{name: "HEAD is the same without the content", request: "HEAD / HTTP/1.1" + hostLine + navigate, want: redirected(toLogin)},
		{name: "a frame", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe", want: redirected(toLogin)},
		{name: "a page of another site links here", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Site: cross-site", want: redirected(toLogin)},
		{name: "Accept in a second line", request: page + "\nAccept: image/png\nAccept: text/html", want: redirected(toLogin)},
		{name: "Accept in another case and with parameters", request: page + "\nAccept: image/png , TEXT/HTML ;level=1", want: redirected(toLogin)},

		{name: "curl", request: page + "\nUser-Agent: curl/8\nAccept: */*", want: bearer},
		{name: "a client that says nothing", request: page, want: bearer},
		{name: "kubectl", request: page + "\nAccept: application/json", want: bearer},
		{name: "a media type that only begins so", request: page + "\nAccept: text/html-like, text/htm", want: bearer},
		{name: "fetch", request: page + "\nSec-Fetch-Mode: cors\nAccept: */*", want: bearer},
		{name: "fetch that accepts a page", request: page + "\nSec-Fetch-Mode: cors" + html, want: bearer},
		{name: "fetch of the same origin", request: page + "\nSec-Fetch-Mode: same-origin" + html, want: bearer},
		{name: "an image", request: page + "\nSec-Fetch-Mode: no-cors\nAccept: image/png", want: bearer},
		{name: "XMLHttpRequest", request: page + "\nX-Requested-With: XMLHttpRequest" + html, want: bearer},
		{name: "a page's own request with a token against forgery", request: page + "\nX-CSRF-Token: abc" + html, want: bearer},
		{name: "two modes", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Mode: cors" + html, want: bearer},
		{name: "an unknown mode", request: page + "\nSec-Fetch-Mode: Navigate" + html, want: bearer},
		{name: "an empty mode", request: page + "\nSec-Fetch-Mode:" + html, want: bearer},
		{name: "a form", request: "POST / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "DELETE", request: "DELETE / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "OPTIONS of everything", request: "OPTIONS * HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "a preflight", request: "OPTIONS / HTTP/1.1" + hostLine + "\nSec-Fetch-Mode: cors", want: bearer},
		{name: "a websocket", request: page + "\nConnection: Upgrade\nUpgrade: websocket\nSec-Fetch-Mode: websocket", want: bearer},
		{name: "a websocket that says it navigates", request: page + "\nConnection: Upgrade\nUpgrade: websocket" + navigate, want: bearer},
		{name: "kubectl exec", request: page + "\nConnection: Upgrade\nUpgrade: SPDY/3.1" + html, want: bearer},

		{name: "PUT", request: "PUT / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "no login is configured", login: "-", request: page + navigate, want: bearer},
	})
}

// A command-line client with a bad credential gets a 401: it would take the login page for
// its answer, and its user would not learn that the token is bad.
func TestLoginAndABadCredential(t *testing.T) {
	bearer := unauthorized("Bearer")
	csrf := "\nX-CSRF-Token: 1"
	runLogin(t, []loginTest{
		{name: "a browser whose session ended", request: page + navigate + garbage, want: redirected(toLogin)},
		{name: "a client that may be a browser", request: page + html + garbage, want: bearer},
		{name: "curl", request: page + "\nAccept: */*" + garbage, want: bearer},
		{name: "oc", challenge: challengeTemplate, request: page + csrf + garbage, want: bearer},
		{name: "fetch", request: page + "\nSec-Fetch-Mode: cors" + garbage, want: bearer},
		{name: "a scheme that no source reads", request: page + html + "\nAuthorization: Basic YTpi", want: bearer},
		{name: "a scheme that no source reads, from a browser", request: page + navigate + "\nAuthorization: Basic YTpi", want: redirected(toLogin)},
		{name: "a token in the subprotocol of a websocket", request: page + navigate + "\nConnection: Upgrade\nUpgrade: websocket" +
			"\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YQ", want: bearer},
		{name: "two credentials", request: page + navigate + garbage + garbage, want: refusedWith(http.StatusBadRequest)},
		{name: "a malformed token", request: page + navigate + "\nAuthorization: Bearer  x", want: refusedWith(http.StatusBadRequest)},
		{
			name: "a user who is known and denied is not sent to the login", peer: "192.0.2.1:1",
			request: page + navigate + "\nX-Forwarded-User: system:admin", want: refusedWith(http.StatusForbidden),
		},
		{name: "a field that is dropped is not a credential", request: page + html + "\nX-Forwarded-User: alice", want: redirected(toLogin)},
		{name: "TRACE", request: "TRACE / HTTP/1.1" + hostLine + navigate, want: refusedWith(http.StatusMethodNotAllowed)},
		{name: "CONNECT", request: "CONNECT dash.example.com:443 HTTP/1.1" + hostLine + navigate, want: refusedWith(http.StatusMethodNotAllowed)},
	})
}

func TestChallengeIsForOtherClients(t *testing.T) {
	bearer := unauthorized("Bearer")
	oc := "GET /oauth/authorize?client_id=openshift-challenging-client HTTP/1.1" + hostLine
	csrf := "\nX-CSRF-Token: 1"
	sent := redirected("https://sso.example.com/challenge?client_id=openshift-challenging-client")
	runLogin(t, []loginTest{
		{name: "oc", challenge: challengeTemplate, request: oc + csrf, want: sent},
		{name: "HEAD", challenge: challengeTemplate, request: strings.Replace(oc, "GET", "HEAD", 1) + csrf, want: sent},
		{name: "a client that accepts HTML and sends the token", challenge: challengeTemplate, request: oc + csrf + html, want: sent},
		{name: "the field in another case", challenge: challengeTemplate, request: oc + "\nx-csrf-token: 1", want: sent},
		{name: "without a login", login: "-", challenge: challengeTemplate, request: oc + csrf, want: sent},
		{name: "without the token", challenge: challengeTemplate, request: oc, want: bearer},
		{name: "an empty token", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token:", want: bearer},
		{name: "a token of blanks", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token: \t ", want: bearer},
		{name: "two tokens", challenge: challengeTemplate, request: oc + csrf + csrf, want: bearer},
		{name: "a list of tokens", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token: 1,2", want: bearer},
		// Kubernetes Dashboard's page sends this field, and dies of a redirect
		{name: "a page's own request", challenge: challengeTemplate, request: oc + csrf + "\nSec-Fetch-Mode: cors", want: bearer},
		{name: "POST", challenge: challengeTemplate, request: "POST / HTTP/1.1" + hostLine + csrf, want: bearer},
		{name: "a websocket", challenge: challengeTemplate, request: oc + csrf + "\nConnection: Upgrade\nUpgrade: websocket", want: bearer},
		{name: "kubectl exec", challenge: challengeTemplate, request: oc + csrf + "\nConnection: Upgrade\nUpgrade: SPDY/3.1", want: bearer},
		{name: "a browser goes to the login", challenge: challengeTemplate, request: page + navigate, want: redirected(toLogin)},
		{name: "a browser where no login is configured", login: "-", challenge: challengeTemplate, request: page + navigate, want: bearer},
		{name: "only a login is configured", request: oc + csrf, want: bearer},

		{name: "a scheme", challenge: "Negotiate", request: oc + csrf, want: unauthorized("Negotiate")},
		{name: "a scheme, and a browser goes to the login", challenge: "Negotiate", request: page + navigate, want: redirected(toLogin)},
		{
			name: "a scheme with parameters that look like a URL", challenge: `Bearer realm="https://auth.example.com/?a"`,
			request: oc, want: unauthorized(`Bearer realm="https://auth.example.com/?a"`),
		},
	})
}

func TestLoginForwardsAKnownUser(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, loginConfig(t, loginTemplate, challengeTemplate))
	r := testhandler.WireRequest(t, page+navigate+"\nX-Forwarded-User: alice")
	r.RemoteAddr = "192.0.2.1:1"
	got := h.Ask(t, r)
	if got.Status != http.StatusOK || got.Location != "" || got.Authenticate != "" || got.Upstream.Get("X-Remote-User") != "alice" {
		t.Errorf("got %+v", got)
	}
}

// A websocket over HTTP/2 is a CONNECT, which is not a navigation.
func TestLoginIsNotForAWebsocketOverHTTP2(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, loginConfig(t, loginTemplate, challengeTemplate))
	r := httptest.NewRequest(http.MethodGet, "http://dash.example.com/ws", http.NoBody)
	r.Method, r.ProtoMajor, r.ProtoMinor, r.Proto = http.MethodConnect, 2, 0, "HTTP/2.0"
	r.Header = http.Header{
		":protocol": {"websocket"}, "Sec-Fetch-Mode": {"navigate"}, "Accept": {"text/html"}, "X-Csrf-Token": {"1"},
	}
	if got, want := h.Ask(t, r), unauthorized("Bearer"); got.Status != want.Status || got.Location != "" || got.Upstream != nil {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestChallengeSchemesAreCheckedAtLoad(t *testing.T) {
	testhandler.Quiet(t)
	for _, test := range []struct {
		challenge string
		loads     bool
	}{
		{"Bearer", true},
		{"Negotiate", true},
		{`Basic realm="the dashboard"`, true},
		{`Bearer realm="https://auth.example.com/token?x", scope="a b"`, true},
		{" Basic", false},
		{"Basic ", false},
		{"Basic\trealm=x", false},
		{"Basic realm=x\r\nSet-Cookie: a=b", false},
		{"Basic realm=\"é\"", false},
		{"Basic: realm", false},
		{"Basic,Negotiate", false},
		{"${url}", false},
		{"login?${url}", false},
		{"mailto:x", false},
		{"/challenge", false},
		{"https://sso.example.com/ ?${url}", false},
	} {
		_, err := testhandler.TryLoad(t, loginConfig(t, "", test.challenge))
		if (err == nil) != test.loads {
			t.Errorf("challenge %q: %v", test.challenge, err)
		}
	}
}
