// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// asked is a stand-in for a service that Caddy asks at one path: it knows the session "alices".
type asked struct {
	*httptest.Server
	testhandler.Recorder
}

func newAsked(t *testing.T, path, cookie, groups string) *asked {
	t.Helper()
	a := new(asked)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Record(r)
		session, err := r.Cookie(cookie)
		switch {
		case r.URL.Path != path:
			w.WriteHeader(http.StatusTeapot) // its own pages
		case err != nil || session.Value != "alices":
			w.Header().Set("X-Auth-Request-User", "not-to-be-believed")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("X-Auth-Request-User", "alice")
			w.Header().Set("X-Auth-Request-Groups", groups)
			w.Header().Set("Set-Cookie", cookie+"=alices; Path=/")
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func TestRecipeOAuth2ProxyBesideCaddy(t *testing.T) {
	const name = "oauth2-proxy"
	k, token, oauth2 := kiali.New(t), impersonator(t, name), newAsked(t, "/oauth2/auth", "_oauth2_proxy", "developers,chess-club")
	c := start(t, recipe(
		t, name, "dashboard.example.com", "http://:0", "127.0.0.1:4180", oauth2.Listener.Addr().String(),
		podToken, testkube.File(t, token), "127.0.0.1:20001", k.Listener.Addr().String(),
	))
	a := kialiAsks{c, k, testhandler.StrangerPeer}
	want := received(t, name, "<the token of the file>", token)
	a.arrives(t, []string{"Cookie: _oauth2_proxy=alices"}, want, "alice", "developers")
	a.arrives(t, forged("Cookie: _oauth2_proxy=alices", "Authorization: Bearer stolen"), want, "alice", "developers")
	a.refused(t, http.StatusUnauthorized, forged()...)
	a.refused(t, http.StatusUnauthorized, forged("Cookie: _oauth2_proxy=bobs")...)

	page := c.Send(t, a.from, "GET /kiali/console/?a=b HTTP/1.1", []string{"Accept: text/html"}, "")
	if at := page.Header.Get("Location"); page.Status != http.StatusFound || at != "/oauth2/sign_in?rd="+url.QueryEscape("/kiali/console/?a=b") {
		t.Errorf("a page without a session: %d, %s", page.Status, at)
	}
	k.WantNothing(t)
	if renewed := c.Send(t, a.from, "GET /kiali/console/ HTTP/1.1", []string{"Cookie: _oauth2_proxy=alices"}, ""); !slices.Equal(renewed.Header["Set-Cookie"], []string{"_oauth2_proxy=alices; Path=/"}) {
		t.Errorf("the browser gets the cookies %q", renewed.Header["Set-Cookie"])
	}
	if pages := c.Send(t, a.from, "GET /oauth2/sign_in HTTP/1.1", nil, ""); pages.Status != http.StatusTeapot {
		t.Errorf("oauth2-proxy's own page: %d", pages.Status)
	}
}

func TestRecipeNginx(t *testing.T) {
	const name = "nginx"
	k, token, service := kiali.New(t), impersonator(t, name), newAsked(t, "/verify", "session", "developers,ops")
	c := start(t, recipe(
		t, name, "kiali.example.com {", "http://:0 {", "127.0.0.1:9000", service.Listener.Addr().String(),
		podToken, testkube.File(t, token), "kiali.istio-system:20001", k.Listener.Addr().String(),
	))
	a := kialiAsks{c, k, testhandler.StrangerPeer}
	want := received(t, name, "<the token of the file>", token)
	a.arrives(t, []string{"Cookie: session=alices"}, want, "alice", "developers", "ops")
	a.arrives(t, []string{"Cookie: session=alices; theme=dark"}, testhandler.And(want, "Cookie", "theme=dark"), "alice", "developers", "ops")
	a.arrives(t, forged("Cookie: session=alices", "Authorization: Bearer stolen"), want, "alice", "developers", "ops")
	service.Take()
	a.refused(t, http.StatusUnauthorized, forged("Cookie: session=bobs")...)
	if got := service.Take(); len(got) != 1 || got[0].Line != "GET /verify" || got[0].Header.Get("X-Forwarded-Uri") != "/kiali/api/namespaces" {
		t.Errorf("the service was asked %+v", got)
	}
	page := c.Send(t, a.from, "GET /kiali/console/?a=b HTTP/1.1", []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}, "")
	here := "http://" + testhandler.SiteHost + "/kiali/console/?a=b"
	if at := page.Header.Get("Location"); page.Status != http.StatusFound || at != "https://login.example.com/start?rd="+url.QueryEscape(here) {
		t.Errorf("a page without a session: %d, %s", page.Status, at)
	}
	k.WantNothing(t)
	service.Close()
	a.refused(t, http.StatusBadGateway, forged("Cookie: session=alices")...)
}
