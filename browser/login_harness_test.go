// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

type object = testhandler.Object

// loginConfig is a handler with a source that reads Authorization, and one that believes a
// proxy at 192.0.2.0/24.
func loginConfig(tb testing.TB, login, challenge string) object {
	tb.Helper()
	keys := filepath.Join(tb.TempDir(), "jwks.json")
	testhandler.Write(tb, keys, `{"keys": [{
		"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
		"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	}]}`)
	return object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources": []any{
			object{"source": "forwarded", "user": []string{"X-Forwarded-User"}},
			object{"source": "oidc", "issuer": "https://idp.example.com", "audience": []string{"a"}, "jwks_file": keys},
		},
		"injectors": []any{object{"injector": "front_proxy"}},
		"login":     login,
		"challenge": challenge,
	}
}

const (
	loginTemplate     = "https://sso.example.com/login?then=${url}"
	challengeTemplate = "https://sso.example.com/challenge?${query}"
	toLogin           = "https://sso.example.com/login?then=http%3A%2F%2Fdash.example.com%2F"

	hostLine = "\nHost: dash.example.com"
	page     = "GET / HTTP/1.1" + hostLine
	navigate = "\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nSec-Fetch-Site: none\nAccept: text/html,*/*;q=0.8"
	html     = "\nAccept: text/html,application/xhtml+xml,*/*;q=0.8"
	garbage  = "\nAuthorization: Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.c2ln"
)

// redirected, unauthorized and refusedWith return whole answers.
func redirected(to string) testhandler.Answer {
	return testhandler.Answer{Status: http.StatusFound, Location: to, CacheControl: "no-store"}
}

func unauthorized(challenge string) testhandler.Answer {
	return testhandler.Answer{Status: http.StatusUnauthorized, Authenticate: challenge, CacheControl: "no-store"}
}

func refusedWith(status int) testhandler.Answer {
	return testhandler.Answer{Status: status, CacheControl: "no-store"}
}

type loginTest struct {
	name             string
	login, challenge string // default: loginTemplate, and no challenge; "-" means no login
	tls              bool
	peer             string // default: a peer that is not trusted
	request          string
	rewrite          string // the target that an earlier handler wrote; default: not rewritten
	want             testhandler.Answer
}

func runLogin(t *testing.T, tests []loginTest) {
	t.Helper()
	testhandler.Quiet(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			login := test.login
			switch login {
			case "":
				login = loginTemplate
			case "-":
				login = ""
			}
			h := testhandler.Load(t, loginConfig(t, login, test.challenge))
			r := testhandler.WireRequest(t, test.request)
			if test.tls {
				r.TLS = &tls.ConnectionState{HandshakeComplete: true}
			}
			if test.peer != "" {
				r.RemoteAddr = test.peer
			}
			r = testhandler.Prepared(r)
			if test.rewrite != "" {
				rewritten, err := url.ParseRequestURI(test.rewrite)
				if err != nil {
					t.Fatal(err)
				}
				r.URL = rewritten
			}
			got := h.Ask(t, r)
			if got.Upstream != nil {
				t.Fatalf("the upstream received %q", got.Upstream)
			}
			if got.Status != test.want.Status || got.Location != test.want.Location ||
				got.Authenticate != test.want.Authenticate || got.CacheControl != test.want.CacheControl {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
