// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// The cookies contain the token of the proxy's account. Without the preset they reach the
// browser, which shows that this Kiali sets them.
func TestUpstreamKialiTokenCookiesNeverReachTheBrowser(t *testing.T) {
	const name = "up-kiali-cookies"
	token := testkube.Account(t, name, nil)
	plain := fmt.Sprintf("inject impersonation {\n token_file %s\n }\n", testkube.File(t, token))
	for kind, test := range map[string]struct {
		inject string
		leaks  bool
	}{
		"the preset":    {kialiByFile(t, token), false},
		"without it":    {plain, true},
		"written alone": {plain + "strip_cookies kiali-token*\n", false},
	} {
		t.Run(kind, func(t *testing.T) {
			k := kiali.New(t)
			g := kialiGuard(t, k, testkube.Forwarded+test.inject)
			got := g.Send(t, testhandler.TrustedPeer, "POST /kiali/api/authenticate HTTP/1.1",
				kialiUser("kiali-max", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 6"), "token=")
			if got.Status != http.StatusOK || !strings.Contains(got.Text, "kiali-max") {
				t.Fatalf("status %d, %s", got.Status, got.Text)
			}
			if !slices.Equal(k.Cookies, []string{token}) {
				t.Error("Kiali has put no token into a cookie, so this test shows nothing")
			}
			lines := got.Header["Set-Cookie"]
			if leaked := strings.Contains(strings.Join(lines, "\n"), "kiali-token"); leaked != test.leaks {
				t.Errorf("Set-Cookie: %q", lines)
			}
			if want := []string{"csrf-token=abc"}; !test.leaks && !slices.Equal(lines, want) {
				t.Errorf("Set-Cookie: %q, want %q", lines, want)
			}
		})
	}
}

// A refusal by Kiali itself clears its cookies: these fields are stripped as well. So is a
// cookie of a Kiali with another key, to which it would answer 500.
func TestUpstreamKialiTokenCookiesNeverReachKiali(t *testing.T) {
	const name, user = "up-kiali-sent", "kiali-nils"
	token := testkube.Account(t, name, nil)
	k := kiali.New(t)
	g := kialiGuard(t, k, testkube.Forwarded+kialiByFile(t, token))
	direct := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Cookie": {"kiali-token-Kubernetes=stale"}}
	if status := kialiDirect(t, k, http.MethodGet, "/kiali/api/namespaces", direct); status != http.StatusInternalServerError {
		t.Errorf("without Caddy: status %d, want 500", status)
	}
	k.Take()
	for _, cookie := range []string{
		"kiali-token-Kubernetes=stale", "kiali-token-Kubernetes-1=stale; kiali-token-chunks-Kubernetes=2", "kiali-token=x",
		`kiali-token-Kubernetes="stale"`, " kiali-token-Kubernetes = stale",
	} {
		t.Run(cookie, func(t *testing.T) {
			for kept, fields := range map[string][]string{
				"":             {"Cookie: " + cookie},
				"a=b; theme=d": {"Cookie: a=b; " + cookie + "; theme=d"},
				"a=b; c=d":     {"Cookie: a=b", "Cookie: " + cookie, "Cookie: c=d"},
			} {
				got, audit := kialiGets(t, g, kialiUser(user, fields...)...)
				if got.Status != http.StatusOK {
					t.Errorf("status %d, %s", got.Status, got.Text)
				}
				requests := k.Take()
				if len(requests) != 1 {
					t.Fatalf("%d requests", len(requests))
				}
				if sent := strings.Join(requests[0].Header["Cookie"], "; "); sent != kept {
					t.Errorf("Cookie = %q, want %q", sent, kept)
				}
				audit.WantImpersonated(t, "system:serviceaccount:"+name+":"+name, user, "developers", "ops")
			}
		})
	}
}

// Kiali answers 500 or 200 to a dead token, and its page waits for 401.
func TestUpstreamKialiExpiredSessionsGet401OfCaddy(t *testing.T) {
	const name = "up-kiali-expired"
	server := testkube.Server(t)
	token := testkube.Account(t, name, testkube.OIDCGroups)
	k := kiali.New(t)
	block := testkube.OIDC(server.Issuer, "token_header X-Forwarded-Id-Token") + kialiByFile(t, token) + "login https://sso.example.com/login?then=${url}\n"
	g := kialiGuard(t, k, block)
	for path, status := range map[string]int{"namespaces": 500, "status": 200} {
		if got := kialiDirect(t, k, http.MethodGet, "/kiali/api/"+path, http.Header{"Authorization": {"Bearer garbage"}}); got != status {
			t.Errorf("without Caddy, %s: status %d, want %d", path, got, status)
		}
	}
	k.Take()
	live := testkube.Sign(t, server.Issuer, nil)
	dead := testkube.Sign(t, server.Issuer, map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-30 * time.Minute).Unix()})
	const page = "Sec-Fetch-Mode: navigate"
	for what, test := range map[string]struct {
		line   string
		fields []string
		status int
	}{
		"a live session":                       {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + live}, 200},
		"and the Basic of an old page":         {"POST /kiali/api/authenticate", []string{"X-Forwarded-Id-Token: " + live, "Authorization: Basic Og=="}, 200},
		"an expired session":                   {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + dead, "Sec-Fetch-Mode: cors"}, 401},
		"of a browser without a mode":          {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + dead, "Kiali-UI: true"}, 401},
		"of the first request of the page":     {"POST /kiali/api/authenticate", []string{"X-Forwarded-Id-Token: " + dead, "Sec-Fetch-Mode: cors"}, 401},
		"of a navigation":                      {"GET /kiali/console/overview", []string{"X-Forwarded-Id-Token: " + dead, page, "Accept: text/html"}, 302},
		"no session":                           {"GET /kiali/api/namespaces", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, 401},
		"of a navigation without a session":    {"GET /kiali/console/overview", []string{page}, 302},
		"garbage":                              {"GET /kiali/api/status", []string{testhandler.Bearer("garbage"), "Sec-Fetch-Mode: cors"}, 401},
		"nothing but an empty Basic":           {"POST /kiali/api/authenticate", []string{"Authorization: Basic Og=="}, 401},
		"nothing but the cookie of an old one": {"GET /kiali/api/namespaces", []string{"Cookie: kiali-token-Kubernetes=x"}, 401},
	} {
		t.Run(what, func(t *testing.T) {
			fields := append(slices.Clone(test.fields), "Content-Length: 0")
			got := g.Send(t, testhandler.TrustedPeer, test.line+" HTTP/1.1", fields, "")
			if got.Status != test.status {
				t.Errorf("status %d, want %d: %s", got.Status, test.status, got.Text)
			}
			if n := len(k.Take()); (n == 1) != (test.status == 200) {
				t.Errorf("%d requests reached Kiali", n)
			}
			if cookies := got.Header["Set-Cookie"]; len(cookies) > 0 && !slices.Equal(cookies, []string{"csrf-token=abc"}) {
				t.Errorf("Set-Cookie: %q", cookies)
			}
			_, path, _ := strings.Cut(test.line, " ")
			wantLocation := "https://sso.example.com/login?then=" + url.QueryEscape("http://"+testhandler.SiteHost+path)
			if location := got.Header.Get("Location"); test.status == 302 && location != wantLocation || test.status != 302 && location != "" {
				t.Errorf("Location = %q", location)
			}
			if challenge := got.Header.Get("WWW-Authenticate"); test.status == 401 && challenge != "Bearer" {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
		})
	}
}
