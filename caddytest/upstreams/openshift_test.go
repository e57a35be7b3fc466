// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/openshift"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestUpstreamOpenShiftABrowserLogsIn(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName, p.proxy))
	status, location := p.asks(t, "openshift-browser-client", nil, http.Header{"X-Remote-User": {"root"}})
	if want := "http://" + testhandler.SiteHost + "/login-proxy/oauth/authorize?" + openshift.Query("openshift-browser-client"); status != http.StatusFound || location != want {
		t.Fatalf("status %d, Location = %q, want %q", status, location, want)
	}
	p.Take()

	if asked := oauthFollow(t, g, location, "Sec-Fetch-Mode: navigate"); asked.Status != http.StatusUnauthorized || !strings.HasPrefix(asked.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("status %d, %v", asked.Status, asked.Header)
	}
	p.WantNothing(t)
	got := oauthFollow(t, g, location, "Sec-Fetch-Mode: navigate", oauthBasic)
	if got.Status != http.StatusFound {
		t.Fatalf("status %d, %s", got.Status, got.Text)
	}
	if user := p.User(t, got.Header.Get("Location")); user != (openshift.User{Name: "alice"}) {
		t.Errorf("the code is for %+v", user)
	}
	p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("openshift-browser-client"), p.received(http.Header{
		"X-Remote-User": {"alice"}, "Sec-Fetch-Mode": {"navigate"},
	}))

	below := g.Send(t, testhandler.TrustedPeer, "GET /login-proxy/oauth/authorize/approve?"+openshift.Query("x")+" HTTP/1.1", []string{oauthBasic}, "")
	if user := p.User(t, below.Header.Get("Location")); user.Name != "alice" {
		t.Errorf("below: %+v", user)
	}
	p.WantOnly(t, "GET /oauth/authorize/approve?"+openshift.Query("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
}

// oc follows the redirect itself, with X-CSRF-Token on each request, and answers the Basic
// challenge.
func TestUpstreamOpenShiftOcFollowsTheChallenge(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "challenging-proxy", oauthCSRF+oauthPassword, oauthByName, p.proxy))
	status, location := p.asks(t, "openshift-challenging-client", nil, http.Header{"X-Csrf-Token": {"1"}})
	if status != http.StatusFound || !strings.HasPrefix(location, "http://"+testhandler.SiteHost+"/challenging-proxy/oauth/authorize?client_id=openshift-challenging-client&") {
		t.Fatalf("status %d, Location = %q", status, location)
	}
	p.Take()
	if asked := oauthFollow(t, g, location, "X-CSRF-Token: 1"); asked.Status != http.StatusUnauthorized || !strings.HasPrefix(asked.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("status %d, %v", asked.Status, asked.Header)
	}
	if forged := oauthFollow(t, g, location, oauthBasic); forged.Status != http.StatusForbidden { // a page elsewhere cannot send it
		t.Errorf("without X-CSRF-Token: status %d", forged.Status)
	}
	p.WantNothing(t)
	got := oauthFollow(t, g, location, "X-CSRF-Token: 1", oauthBasic)
	if user := p.User(t, got.Header.Get("Location")); user != (openshift.User{Name: "alice"}) {
		t.Errorf("the code is for %+v", user)
	}
	p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("openshift-challenging-client"), p.received(http.Header{
		"X-Remote-User": {"alice"}, "X-Csrf-Token": {"1"},
	}))
}

// Caddy's own login and challenge, for clients without a user: they use the syntax of
// loginURL and challengeURL.
func TestUpstreamOpenShiftAClientWithoutAUserIsRedirected(t *testing.T) {
	p := newOAuth(t)
	block := testkube.Forwarded + "login https://sso.example/sso/authorize?then=${url}&${query}\nchallenge https://sso.example/challenge?${query}&at=${server-relative-url}\n"
	g := p.guard(t, p.at(t, "login-proxy", "", block, p.proxy))
	status, location := p.asks(t, "openshift-browser-client", nil, http.Header{})
	if status != http.StatusFound {
		t.Fatalf("status %d", status)
	}
	p.Take()
	query := openshift.Query("openshift-browser-client")
	path := "/login-proxy/oauth/authorize?" + query
	for what, test := range map[string]struct {
		fields []string
		want   string
	}{
		"a browser":              {[]string{"Sec-Fetch-Mode: navigate"}, "https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+testhandler.SiteHost+path) + "&" + query},
		"oc":                     {[]string{"X-CSRF-Token: 1"}, "https://sso.example/challenge?" + query + "&at=" + url.QueryEscape(path)},
		"oc with an empty token": {[]string{"X-CSRF-Token:"}, ""},
		"a page's own request":   {[]string{"X-CSRF-Token: 1", "Sec-Fetch-Mode: cors"}, ""},
		"curl":                   {nil, ""},
		"a browser that claims to be a user": {
			[]string{"Sec-Fetch-Mode: navigate", "X-Remote-User: root"},
			"https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+testhandler.SiteHost+path) + "&" + query,
		},
	} {
		t.Run(what, func(t *testing.T) {
			got := oauthFollow(t, g, location, test.fields...)
			wantStatus := http.StatusFound
			if test.want == "" {
				wantStatus = http.StatusUnauthorized
			}
			if got.Status != wantStatus || got.Header.Get("Location") != test.want {
				t.Errorf("status %d, Location = %q\nwant %d, %q", got.Status, got.Header.Get("Location"), wantStatus, test.want)
			}
			p.WantNothing(t)
		})
	}
	t.Run("a query with a token of its own is not filled in again", func(t *testing.T) {
		got := g.Send(t, testhandler.TrustedPeer, "GET /login-proxy/oauth/authorize?x=${url} HTTP/1.1", []string{"Sec-Fetch-Mode: navigate"}, "")
		want := "https://sso.example/sso/authorize?then=" + url.QueryEscape("http://"+testhandler.SiteHost+"/login-proxy/oauth/authorize?x=${url}") + "&x=$%7Burl%7D"
		if location := got.Header.Get("Location"); location != want {
			t.Errorf("Location = %q, want %q", location, want)
		}
	})
}

// From every source, each identity goes to the same fields, and no field of the client's own
// is added.
func TestUpstreamOpenShiftWhereTheUserComesFrom(t *testing.T) {
	p := newOAuth(t)
	users := testpki.NewCA(t, nil, "users", nil)
	alice := users.Leaf(t, nil)
	g := p.guard(
		t,
		p.at(t, "basic", oauthPassword, oauthByName, p.proxy),
		p.at(t, "forwarded", "", testkube.Forwarded, p.proxy),
		p.at(t, "forwarded-openshift", "", "forwarded openshift\n", p.proxy),
		p.at(t, "cert", "", "client_cert aws_alb {\n trust_pool file "+testpki.PEMFile(t, users)+"\n }\n", p.proxy),
	)
	hostile := []string{
		"X-Remote-User: root", "x-remote-user: root", "X_Remote_User: root", "X-Remote-User-Email: root@example.com", "X-Remote-User-Display-Name: root",
		"X-Remote-User-Login: root", "X_Remote_User_Login: root", "X-Remote-Group: system:masters", "X-Remote-Extra-A: b", "Impersonate-User: root",
	}
	for at, test := range map[string]struct {
		fields  []string
		hostile []string
		want    openshift.User
	}{
		"basic": {[]string{oauthBasic}, hostile, openshift.User{Name: "alice"}},
		"forwarded": {
			[]string{"X-Forwarded-User: alice", "X-Forwarded-Email: alice@example.com", "X-Forwarded-Preferred-Username: ali"},
			hostile,
			openshift.User{Name: "alice", Preferred: "ali", Email: "alice@example.com"},
		},
		"forwarded-openshift": {
			[]string{"X-Remote-User: alice", "X-Remote-User-Email: alice@example.com", "X-Remote-User-Display-Name: Alice A", "X-Remote-User-Login: ali"},
			[]string{"X_Remote_User: root", "X_Remote_User_Login: root", "X-Remote-Group: system:masters"},
			openshift.User{Name: "alice", Preferred: "ali", Display: "Alice A", Email: "alice@example.com"},
		},
		"cert": {[]string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(alice)}, hostile, openshift.User{Name: "alice"}},
	} {
		t.Run(at, func(t *testing.T) {
			want := http.Header{"X-Remote-User": {test.want.Name}}
			for field, value := range map[string]string{
				"X-Remote-User-Email": test.want.Email, "X-Remote-User-Display-Name": test.want.Display, "X-Remote-User-Login": test.want.Preferred,
			} {
				if value != "" {
					want[field] = []string{value}
				}
			}
			line := "GET /" + at + "/oauth/authorize?" + openshift.Query("x") + " HTTP/1.1"
			for _, more := range [][]string{nil, test.hostile} {
				got := g.Send(t, testhandler.TrustedPeer, line, append(slices.Clone(more), test.fields...), "")
				if user := p.User(t, got.Header.Get("Location")); user != test.want {
					t.Errorf("the code is for %+v, want %+v", user, test.want)
				}
				p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("x"), p.received(want))
			}
			if got := g.Send(t, testhandler.StrangerPeer, line, hostile, ""); got.Status != http.StatusUnauthorized {
				t.Errorf("of a stranger: status %d", got.Status)
			}
			p.WantNothing(t)
		})
	}
}

// Caddy does not write the other listed field, SSO-User, which the OAuth server reads first.
// The built-in list has no such name, so strip_headers strips it.
func TestUpstreamOpenShiftAFieldThatTheOperatorStrips(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName+"strip_headers SSO-User\n", p.proxy))
	got := g.Send(t, testhandler.TrustedPeer, "GET /login-proxy/oauth/authorize?"+openshift.Query("x")+" HTTP/1.1", []string{oauthBasic, "SSO-User: root", "sso_user: root"}, "")
	if user := p.User(t, got.Header.Get("Location")); user.Name != "alice" {
		t.Errorf("the code is for %+v", user)
	}
	p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
}

// A name that OpenShift's users cannot have is refused. The stand-in, asked directly, shows
// that OpenShift would answer 500 to it.
func TestUpstreamOpenShiftNamesThatNoUserCanHave(t *testing.T) {
	p := newOAuth(t)
	g := p.guard(t, p.at(t, "login-proxy", "", testkube.Forwarded, p.proxy))
	line := "GET /login-proxy/oauth/authorize?" + openshift.Query("x") + " HTTP/1.1"
	for _, name := range []string{"a/b", "/", "..", ".", "~", "50%", "%2e%2e", "oidc:alice", "system:admin", ":", "b64:YQ", "a/../b"} {
		t.Run(name, func(t *testing.T) {
			for _, fields := range [][]string{
				{"X-Forwarded-User: " + name},
				{"X-Forwarded-User: alice", "X-Forwarded-Preferred-Username: " + name},
			} {
				if got := g.Send(t, testhandler.TrustedPeer, line, fields, ""); got.Status != http.StatusForbidden || got.Header.Get("Location") != "" {
					t.Errorf("%q: status %d", fields, got.Status)
				}
				p.WantNothing(t)
			}
			status, _ := p.asks(t, "x", p.proxy, http.Header{"X-Remote-User": {name}})
			if status != http.StatusInternalServerError && !strings.HasPrefix(name, "b64:") {
				t.Errorf("the stand-in accepts it: %d", status)
			}
			p.Take()
		})
	}
	for _, name := range []string{"alice@example.com", "...", "~alice", "Jürgen", "a b", "CN=alice,O=x"} {
		t.Run(name, func(t *testing.T) {
			got := g.Send(t, testhandler.TrustedPeer, line, []string{"X-Forwarded-User: " + name}, "")
			if user := p.User(t, got.Header.Get("Location")); user != (openshift.User{Name: name}) {
				t.Errorf("the code is for %+v", user)
			}
			p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("x"), p.received(http.Header{"X-Remote-User": {name}}))
		})
	}
}
