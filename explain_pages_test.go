// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// loginSite is a site at whose issuer browsers log in.
func loginSite() object {
	return object{
		"sources": []any{object{
			"source": "oidc", "issuer": "https://issuer.example", "jwks_file": "command/testdata/check/jwks.json",
			"login": object{
				"client_id": "dashboards", "client_secret_file": "command/testdata/check/client-secret",
				"authorization_url": "https://issuer.example/authorize", "token_url": "https://issuer.example/token",
			},
		}},
		"session":   object{"key_file": "command/testdata/check/session-keys", "back_channel_logout": true},
		"injectors": []any{object{"injector": "headers", "user": "X-User"}},
	}
}

// browserRequest is "METHOD TARGET", then a field in each further line.
func browserRequest(text string) *http.Request {
	lines := strings.Split(text, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host, r.RemoteAddr = "localhost", "192.0.2.7:4711"
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return testhandler.Prepared(r)
}

var nothing = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

func serve(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	err := testhandler.Load(t, loginSite()).ServeHTTP(w, r, nothing)
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		w.Code = refused.StatusCode
	} else if err != nil {
		t.Fatal(err)
	}
	return w
}

func explain(t *testing.T, r *http.Request) (*command.Report, int) {
	t.Helper()
	w := httptest.NewRecorder()
	report, err := testhandler.Load(t, loginSite()).MiddlewareHandler.(command.Explainer).Explain(w, r, nothing)
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		w.Code = refused.StatusCode
	}
	return report, w.Code
}

const navigates = "\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document"

// check says of the session's own pages, without running them, what the server does.
func TestCheckAgreesWithTheServerAboutTheSessionsPages(t *testing.T) {
	testhandler.Quiet(t)
	begun := serve(t, browserRequest("GET /pods"+navigates))
	location, err := url.Parse(begun.Header().Get("Location"))
	if err != nil || begun.Code != http.StatusSeeOther {
		t.Fatal(begun.Code, err)
	}
	state := location.Query().Get("state")
	cookie, _, _ := strings.Cut(begun.Header().Get("Set-Cookie"), ";")
	for name, request := range map[string]string{
		"a page that is not there":                "GET /kube-identity/nothing",
		"a page that is not there, in other case": "GET /KUBE-IDENTITY/login" + navigates,
		"the folder":                              "GET /kube-identity",
		"a login":                                 "GET /kube-identity/login" + navigates,
		"a login in a script":                     "GET /kube-identity/login\nSec-Fetch-Mode: cors",
		"a login in a frame":                      "GET /kube-identity/login\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
		"a login by HEAD":                         "HEAD /kube-identity/login" + navigates,
		"a login by POST":                         "POST /kube-identity/login" + navigates,
		"a login that leads here":                 "GET /kube-identity/login?to=/pods" + navigates,
		"a login that leads to another site":      "GET /kube-identity/login?to=//evil.example" + navigates,
		"a login that leads to a login":           "GET /kube-identity/login?to=/kube-identity/login" + navigates,
		"a login that leads to two pages":         "GET /kube-identity/login?to=/a&to=/b" + navigates,
		"a callback without anything":             "GET /kube-identity/callback" + navigates,
		"a callback with a state that is not one": "GET /kube-identity/callback?code=a&state=b" + navigates,
		"a callback by POST":                      "POST /kube-identity/callback" + navigates,
		"a callback ahead of time":                "GET /kube-identity/callback?code=a&state=" + state + "\nSec-Purpose: prefetch\nCookie: " + cookie,
		"a callback with a code twice":            "GET /kube-identity/callback?code=a&code=b&state=" + state + "\nCookie: " + cookie,
		"a callback in another browser":           "GET /kube-identity/callback?code=a&state=" + state + navigates,
		"a logout page":                           "GET /kube-identity/logout",
		"a logout by this site":                   "POST /kube-identity/logout\nSec-Fetch-Site: same-origin",
		"a logout by another site":                "POST /kube-identity/logout\nSec-Fetch-Site: cross-site",
		"a logout by a client":                    "POST /kube-identity/logout",
		"a logout by DELETE":                      "DELETE /kube-identity/logout",
		"the session":                             "GET /kube-identity/session",
		"the session for another site":            "GET /kube-identity/session\nSec-Fetch-Site: cross-site",
	} {
		t.Run(name, func(t *testing.T) {
			status := serve(t, browserRequest(request)).Code
			report, _ := explain(t, browserRequest(request))
			if report.Session == nil || report.Session.Own == nil {
				t.Fatal("it is not taken for one of the session's pages")
			}
			own := report.Session.Own
			if own.Status != status && (own.Status != 0 || status >= http.StatusBadRequest) {
				t.Errorf("the server answers with %d, and check says %d: %q", status, own.Status, own.Lines)
			}
		})
	}
}

// check says of a request without an identity whether it begins a login, as the server does.
func TestCheckAgreesWithTheServerAboutLogins(t *testing.T) {
	testhandler.Quiet(t)
	for name, request := range map[string]string{
		"a page":                         "GET /pods" + navigates,
		"a page in an old browser":       "GET /pods\nAccept: text/html",
		"a page in a frame":              "GET /pods\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
		"a page by a service worker":     "GET /pods\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: empty",
		"a page ahead of time":           "GET /pods\nPurpose: prefetch" + navigates,
		"a form":                         "POST /pods\nOrigin: http://localhost" + navigates,
		"HEAD":                           "HEAD /pods" + navigates,
		"fetch":                          "GET /pods\nSec-Fetch-Mode: cors",
		"fetch that wants a page":        "GET /pods\nAccept: text/html\nSec-Fetch-Mode: same-origin",
		"an image":                       "GET /pods\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image",
		"XHR":                            "GET /pods\nAccept: text/html\nX-Requested-With: XMLHttpRequest",
		"a websocket":                    "GET /exec\nConnection: Upgrade\nUpgrade: websocket",
		"kubectl":                        "GET /api\nAccept: application/json",
		"a page with a bad token":        "GET /pods\nAuthorization: Bearer x" + navigates,
		"a page with another credential": "GET /pods\nAuthorization: Basic eDp5" + navigates,
		"an old browser's":               "GET /pods\nAccept: text/html\nAuthorization: Basic eDp5",
		"a page over https":              "GET https://localhost/pods" + navigates,
	} {
		t.Run(name, func(t *testing.T) {
			served := serve(t, browserRequest(request))
			report, status := explain(t, browserRequest(request))
			begins := strings.HasPrefix(served.Header().Get("Location"), "https://issuer.example/authorize?")
			if status != served.Code || report.Flow == nil || begins != (report.Flow.Why == "") {
				t.Errorf("the server answers with %d, %v; check says %d, %+v", served.Code, begins, status, report.Flow)
			}
			if isPage := strings.HasPrefix(served.Header().Get("Content-Type"), "text/html"); !begins && isPage != report.Flow.Page {
				t.Errorf("the server shows a page: %v; check says %v", isPage, report.Flow.Page)
			}
		})
	}
}
