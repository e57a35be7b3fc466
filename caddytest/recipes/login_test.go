// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// browsed is what arrives of a request of the browser.
func (l *login) browsed(fields http.Header, more ...string) http.Header {
	host := strings.TrimPrefix(l.site, "http://")
	header := testhandler.And(testhandler.Proxied("127.0.0.1", fields), more...)
	header["Host"], header["X-Forwarded-Host"], header["User-Agent"] = []string{host}, []string{host}, []string{"Go-http-client/1.1"}
	return header
}

func TestRecipeKialiWithTheLoginHere(t *testing.T) {
	const name = "kiali-login"
	site := "http://localhost:" + freeport.Ports(t, 1)[0]
	k, l := kiali.New(t), newLogin(t, site, "kiali")
	server := testkube.Server(t)
	caddyAccount := rights(t, page(t, "recipe", name), "caddy")
	kubeconfig, err := server.Kubeconfig(server.URL, server.CAFile, caddyAccount)
	if err != nil {
		t.Fatal(err)
	}
	mayImpersonate(t, testkube.Token(t, "caddy-kube-identity", "caddy-kube-identity"), "sso:alice", "sso:developers", "sso:ops")
	l.caddy = start(t, recipe(
		t, name, "https://kiali.example.com", site, issuerAt, l.issuer.URL, "/etc/caddy/client-secret", l.secret(t),
		"/etc/caddy/kubeconfig", kubeconfig, "127.0.0.1:20001", k.Listener.Addr().String(),
	))

	if status := l.fetches("/kiali/api/namespaces", forged()...); status != http.StatusUnauthorized {
		t.Errorf("before the login: status %d", status)
	}
	k.WantNothing(t)
	if at, status, text := l.opens("/kiali/console/?a=b"); at != site+"/kiali/console/?a=b" || status != http.StatusOK || text != "console" {
		t.Fatalf("after the login the browser is at %s %d\n%s\n%s", at, status, text, l.caddy.LogText(t))
	}
	requests := k.Take()
	if len(requests) != 1 {
		t.Fatalf("Kiali received %d requests", len(requests))
	}
	bearer := requests[0].Header.Get("Authorization")
	_, who, err := server.SelfSubjectReview(t.Context(), strings.TrimPrefix(bearer, "Bearer "))
	if err != nil || who.Username != account {
		t.Errorf("the token is %q's (%v), want %q's", who.Username, err, account)
	}
	want := received(t, name, "Bearer <a token of caddy-kube-identity/caddy-kube-identity>", bearer)
	for mark, fields := range map[string][]string{"recipes-login": nil, "recipes-login-forged": forged("X-Forwarded-User: admin")} {
		if status := l.fetches("/kiali/api/namespaces?mark="+mark, fields...); status != http.StatusOK {
			t.Errorf("%s: status %d", mark, status)
		}
		k.WantOnly(t, "GET /kiali/api/namespaces?mark="+mark, l.browsed(want, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"))
	}
	testkube.Answer{Mark: "recipes-login-forged"}.WantImpersonated(t, account, "sso:alice", "sso:developers", "sso:ops")
	if l.has("kiali-token") {
		t.Error("the browser has Kiali's cookie, which holds the proxy's token")
	}
	l.logsOut()
	if status := l.fetches("/kiali/api/namespaces"); status != http.StatusUnauthorized {
		t.Errorf("after the logout: status %d", status)
	}
	k.WantNothing(t)
	l.wantNoSecrets()
}

func TestRecipeHeadlampWithTheLoginHere(t *testing.T) {
	headlampLogin(t, "headlamp-login", "https://headlamp.example.com {", "127.0.0.1:4466")
}

// The configuration for those who leave ingress-nginx and oauth2-proxy.
func TestRecipeIngressLogin(t *testing.T) {
	headlampLogin(t, "ingress-login", "headlamp.example.com {", "headlamp.headlamp.svc:80")
}

// headlampLogin logs a browser in and out, at a recipe with the page's addresses of the site and of
// Headlamp.
func headlampLogin(t *testing.T, name, address, upstream string) {
	t.Helper()
	site := "http://localhost:" + freeport.Ports(t, 1)[0]
	h, l := headlamp.New(t), newLogin(t, site, "kubernetes")
	l.caddy = start(t, recipe(
		t, name, address, site+" {", issuerAt, l.issuer.URL, "/etc/caddy/client-secret", l.secret(t),
		upstream, h.Listener.Addr().String(),
	))

	if status := l.fetches("/clusters/main/me", forged("X-Forwarded-User: admin")...); status != http.StatusUnauthorized {
		t.Errorf("before the login: status %d", status)
	}
	h.WantNothing(t)
	if at, status, text := l.opens("/clusters/main/me"); at != site+"/clusters/main/me" || status != http.StatusOK || !strings.Contains(text, `"alice@example.com"`) {
		t.Fatalf("after the login the browser is at %s %d\n%s\n%s", at, status, text, l.caddy.LogText(t))
	}
	h.Take()
	if status := l.fetches("/clusters/main/me", forged("X-Forwarded-User: admin", "X-Forwarded-Id-Token: x")...); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	want := l.browsed(received(t, "headlamp-login", "<the ID token>", l.idToken()), "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin")
	want["Host"] = []string{h.Listener.Addr().String()}
	h.WantOnly(t, "GET /clusters/main/me", want)
	l.logsOut()
	if status := l.fetches("/clusters/main/me"); status != http.StatusUnauthorized {
		t.Errorf("after the logout: status %d", status)
	}
	h.WantNothing(t)
	l.wantNoSecrets()
}

// The configuration for those who leave oauth2-proxy.
func TestRecipeFromOAuth2Proxy(t *testing.T) {
	const name = "from-oauth2-proxy"
	site := "http://localhost:" + freeport.Ports(t, 1)[0]
	k, l, token := kiali.New(t), newLogin(t, site, "kiali"), impersonator(t, name)
	l.caddy = start(t, recipe(
		t, name, "kiali.example.com {", site+" {", issuerAt, l.issuer.URL, "/etc/caddy/client-secret", l.secret(t),
		podToken, testkube.File(t, token), "kiali.istio-system:20001", k.Listener.Addr().String(),
	))
	forged := forged("X-Forwarded-User: admin", "X-Forwarded-Email: admin@example.com", "X-Auth-Request-Groups: system:masters")
	if status := l.fetches("/kiali/api/namespaces", forged...); status != http.StatusUnauthorized {
		t.Errorf("before the login: status %d", status)
	}
	k.WantNothing(t)
	if at, status, text := l.opens("/kiali/console/"); at != site+"/kiali/console/" || status != http.StatusOK {
		t.Fatalf("after the login the browser is at %s %d\n%s\n%s", at, status, text, l.caddy.LogText(t))
	}
	k.Take()
	const mark = "recipes-from-oauth2-proxy"
	if status := l.fetches("/kiali/api/namespaces?mark="+mark, forged...); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	want := received(t, name, "<the token of the file>", token)
	k.WantOnly(t, "GET /kiali/api/namespaces?mark="+mark, l.browsed(want, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"))
	testkube.Answer{Mark: mark}.WantImpersonated(t, account, "alice@example.com", "developers", "ops")
	l.logsOut()
	l.wantNoSecrets()
}
