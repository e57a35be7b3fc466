// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The cookies of the stand-in for oauth2-proxy: a session that it has renewed, in two parts as
// a large one is, and the removal of one that has ended.
func oauth2Renewed() []string {
	return []string{"_oauth2_proxy_0=new; Path=/; HttpOnly", "_oauth2_proxy_1=er; Path=/; HttpOnly"}
}

const oauth2Removed = "_oauth2_proxy=; Path=/; Max-Age=0"

// oauth2Proxy is a stand-in for oauth2-proxy, which knows some sessions.
type oauth2Proxy struct {
	*httptest.Server
	testhandler.Recorder
}

func newOauth2Proxy(t *testing.T) *oauth2Proxy {
	t.Helper()
	o := new(oauth2Proxy)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.Record(r)
		session, err := r.Cookie("_oauth2_proxy")
		if r.URL.Path != "/oauth2/auth" {
			w.WriteHeader(http.StatusTeapot) // its sign-in page
			return
		}
		users := map[string]string{"alices": "alice", "alices-old": "alice", "admins-old": "system:admin"}
		if err != nil || users[session.Value] == "" {
			w.Header().Set("X-Auth-Request-User", "not-to-be-believed")
			w.Header().Set("Set-Cookie", oauth2Removed)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(session.Value, "-old") { // --cookie-refresh
			w.Header()["Set-Cookie"] = oauth2Renewed()
		}
		w.Header().Set("X-Auth-Request-User", users[session.Value])
		w.Header().Set("X-Auth-Request-Groups", "developers,ops,chess-club")
		w.Header().Set("X-Other", "not for the browser")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(o.Close)
	return o
}

// oauth2Run runs the example beside the stand-in, and returns the address of its site.
func oauth2Run(t *testing.T, oauth2 *oauth2Proxy, dashboard string) (site string) {
	t.Helper()
	site = "127.0.0.1:" + freeport.Ports(t, 1)[0]
	quickstartRun(t, program.Path(t), []string{"run", "--config", "examples/oauth2-proxy.caddyfile"}, map[string]string{
		"ADDRESS":      "http://" + site + ", http://" + testhandler.SiteHost + strings.TrimPrefix(site, "127.0.0.1"),
		"OAUTH2_PROXY": oauth2.Listener.Addr().String(),
		"DASHBOARD":    dashboard,
		"KUBE_TOKEN":   "examples/quickstart/token",
	}, site)
	return site
}

// TestExampleOauth2Proxy puts a stand-in for oauth2-proxy beside the example: only Caddy
// should reach it.
func TestExampleOauth2Proxy(t *testing.T) {
	upstream := testhandler.NewUpstreamWith(t, func(conn net.Conn, _ *bufio.Reader, _ testhandler.Received) bool {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: lang=en\r\n"+
			"Set-Cookie: _oauth2_proxy=the-dashboards\r\nSet-Cookie: kiali-token-a=secret\r\n\r\n")
		return true
	})
	site := oauth2Run(t, newOauth2Proxy(t), upstream.Addr)

	alice := impersonated("alice", "developers", "ops")
	alice["Cookie"] = []string{"theme=dark"}
	const session, old = "Cookie: theme=dark; _oauth2_proxy=alices; _oauth2_proxy_1=x; kiali-token-a=y", "Cookie: theme=dark; _oauth2_proxy=alices-old"
	renewed := append(oauth2Renewed(), "lang=en")
	exampleAsk(t, "http://"+site, upstream, []exampleCase{
		{
			name: "a signed-in user arrives, without the sessions", url: "/a?b=c",
			fields: []string{session}, status: http.StatusOK, cookies: []string{"lang=en"}, want: alice,
		},
		{
			name: "a signed-in user cannot be another user", url: "/",
			fields: []string{
				session, "X-Auth-Request-User: admin", "X-Auth-Request-Email: admin@example.com",
				"Impersonate-User: admin", "Authorization: Bearer stolen",
			},
			status: http.StatusOK, cookies: []string{"lang=en"}, want: alice,
		},
		{
			name: "a session that oauth2-proxy has renewed reaches the browser, with the dashboard's own cookies", url: "/",
			fields: []string{old}, status: http.StatusOK, cookies: renewed, want: alice,
		},
		{
			name: "and when the user is refused", url: "/",
			fields: []string{"Cookie: _oauth2_proxy=admins-old"}, status: http.StatusForbidden, cookies: oauth2Renewed(),
		},
		{
			name: "a browser without a session is sent to sign in, and back", url: "/a?b=c&d=e",
			fields: []string{"Accept: text/html,*/*;q=0.8", "X-Auth-Request-User: admin"},
			status: http.StatusFound, location: "/oauth2/sign_in?rd=%2Fa%3Fb%3Dc%26d%3De", cookies: []string{oauth2Removed},
		},
		{
			name: "an XHR without a session gets 401", url: "/api", cookies: []string{oauth2Removed},
			fields: []string{"X-Auth-Request-User: admin"}, status: http.StatusUnauthorized,
		},
		{
			name: "an ended session counts as none, and is removed", url: "/api",
			fields: []string{"Cookie: _oauth2_proxy=bobs"}, status: http.StatusUnauthorized, cookies: []string{oauth2Removed},
		},
		{name: "the sign-in page needs no session", url: "/oauth2/sign_in", status: http.StatusTeapot},
	})
}

// A WebSocket renews a session as a page does.
func TestExampleOauth2ProxyRenewsASessionInAWebSocket(t *testing.T) {
	upstream := testhandler.NewUpstream(t)
	site := oauth2Run(t, newOauth2Proxy(t), upstream.Addr)
	caddy := &testhandler.Caddy{Addr: site}
	reply := caddy.Send(t, "", "GET /ws HTTP/1.1", []string{
		"Cookie: _oauth2_proxy=alices-old", "Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + testhandler.SiteHost,
	}, "")
	if cookies := reply.Header["Set-Cookie"]; reply.Status != http.StatusSwitchingProtocols || !slices.Equal(cookies, oauth2Renewed()) {
		t.Errorf("got %d and the cookies %q", reply.Status, cookies)
	}
}

// oauth2-proxy is asked by GET, without the client's body and query, about the request's own
// method and address, which are those for its rules (--skip-auth-route) and its way back.
func TestExampleOauth2ProxyIsAskedAboutTheRequest(t *testing.T) {
	oauth2, upstream := newOauth2Proxy(t), testhandler.NewUpstream(t)
	caddy := &testhandler.Caddy{Addr: oauth2Run(t, oauth2, upstream.Addr)}
	reply := caddy.Send(t, "", "POST /a?allowed_groups=x HTTP/1.1", []string{
		"Cookie: _oauth2_proxy=alices", "Content-Length: 4", "X-Forwarded-Uri: /public", "X-Forwarded-Method: OPTIONS", "X-Real-Ip: 192.0.2.1",
	}, "body")
	asked, received := oauth2.Take(), upstream.Take()
	if reply.Status != http.StatusOK || len(asked) != 1 || len(received) != 1 {
		t.Fatalf("got %d, oauth2-proxy was asked %d times, and the upstream %d times", reply.Status, len(asked), len(received))
	}
	header := asked[0].Header
	if asked[0].Line != "GET /oauth2/auth" || header.Get("Content-Length") != "" {
		t.Errorf("oauth2-proxy was asked %s, with %v", asked[0].Line, header)
	}
	for name, want := range map[string]string{
		"X-Forwarded-Uri": "/a?allowed_groups=x", "X-Forwarded-Method": http.MethodPost, "X-Real-Ip": "127.0.0.1",
	} {
		if got := header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("oauth2-proxy was asked with %s: %q, want %q", name, got, want)
		}
	}
	if received[0].Line != "POST /a?allowed_groups=x HTTP/1.1" || received[0].Body != "body" {
		t.Errorf("the upstream received %s with %q", received[0].Line, received[0].Body)
	}
}
