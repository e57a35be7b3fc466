// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Headlamp shows "unable to parse error json" for a 401 without a body, and kubectl only
// "Forbidden:". An API server explains a status with an object, which says no more here than
// the status.
func TestAScriptReadsTheBodyOfARefusal(t *testing.T) {
	status := func(code int, reason, message string) string {
		if reason != "" {
			reason = `"reason":"` + reason + `",`
		}
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,%s"code":%d}`+"\n", message, reason, code)
	}
	const site = `http://:0 {
	log
	%[2]s
	kube_identity {
		trusted_proxies static ` + testhandler.TrustedPeer + `
		forwarded oauth2_proxy
		deny_users bob
		client_impersonation reject
		login /login?rd=${url}
		inject impersonation {
			token_file %[3]s
		}
	}
	reverse_proxy %%[1]s
	%[1]s
}
`
	const accept = "Accept: application/json, */*"
	plain := fmt.Sprintf(site, "", "", testhandler.TokenFile(t))
	g := testhandler.Guard(t, "", plain)
	for _, test := range []struct {
		name, line string
		fields     []string
		status     int
		text       string
		reason     string
	}{
		{"without a credential", "GET / HTTP/1.1", []string{accept}, 401, status(401, "Unauthorized", "Unauthorized"), "no credential"},
		{"of a fetch", "GET / HTTP/1.1", []string{"Accept: */*", "Sec-Fetch-Mode: cors"}, 401, status(401, "Unauthorized", "Unauthorized"), "no credential"},
		{"of a client that reads no JSON", "GET / HTTP/1.1", []string{"Accept: text/plain"}, 401, "", "no credential"},
		{"of a client that does not say", "GET / HTTP/1.1", nil, 401, "", "no credential"},
		{"HEAD", "HEAD / HTTP/1.1", []string{accept}, 401, "", "no credential"},
		{"denied", "GET / HTTP/1.1", []string{accept, "X-Forwarded-User: bob"}, 403, status(403, "Forbidden", "Forbidden"), `forbidden: user "bob" is denied`},
		{
			"two users", "GET / HTTP/1.1",
			[]string{accept, "X-Forwarded-User: bob", "X-Forwarded-User: alice"},
			400, status(400, "BadRequest", "Bad Request"), "malformed: 2 lines of X-Forwarded-User",
		},
		{"TRACE", "TRACE / HTTP/1.1", []string{accept}, 405, status(405, "MethodNotAllowed", "Method Not Allowed"), "method not allowed: TRACE"},
		{
			"kubectl --as", "GET /api HTTP/1.1",
			[]string{accept, "X-Forwarded-User: alice", "Impersonate-User: admin"},
			403, status(403, "Forbidden", "impersonation (Impersonate-*, kubectl --as) is not allowed here"),
			"forbidden: the client asks to impersonate another user",
		},
		{"a page goes to the login", "GET / HTTP/1.1", []string{accept, "Sec-Fetch-Mode: navigate"}, 302, "", "no credential"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := g.Send(t, testhandler.TrustedPeer, test.line, test.fields, "")
			g.CheckReason(t, test.reason)
			g.CheckNothing(t)
			if got.Status != test.status || got.Text != test.text {
				t.Errorf("status %d, text %q, want %d, %q", got.Status, got.Text, test.status, test.text)
			}
			media := ""
			if test.text != "" || test.name == "HEAD" {
				media = "application/json"
			}
			if got.Header.Get("Content-Type") != media || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", got.Header)
			}
			if challenge := got.Header.Get("WWW-Authenticate"); (challenge == "Bearer") != (test.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
		})
	}
	// The operator's error routes come first, and those of another site of the same server do
	// not count.
	for name, test := range map[string]struct {
		errors, before, text string
	}{
		"an error route":                    {"handle_errors {\n\t\trespond \"sorry\"\n\t}", "", "sorry"},
		"an error route for this status":    {"handle_errors 401 {\n\t\trespond \"sorry\"\n\t}", "", "sorry"},
		"an error route for another status": {"handle_errors 404 {\n\t\trespond \"sorry\"\n\t}", "", status(401, "Unauthorized", "Unauthorized")},
		"another site's error route": {
			"}\nhttp://other.example:0 {\n\thandle_errors {\n\t\trespond \"other\"\n\t}", "", status(401, "Unauthorized", "Unauthorized"),
		},
		"an error route behind a rewrite": {"handle_errors {\n\t\trespond \"sorry\"\n\t}", "rewrite * /x", "sorry"},
		"an error route for the method that the client sent": {
			"handle_errors {\n\t\t@get method GET\n\t\trespond @get \"sorry\"\n\t}", "method POST", "sorry",
		},
		"an error route for another method": {
			"handle_errors {\n\t\t@post method POST\n\t\trespond @post \"sorry\"\n\t}", "method POST", status(401, "Unauthorized", "Unauthorized"),
		},
		"error routes of which none fits": {
			"handle_errors {\n\t\t@gone expression `{err.status_code} == 410`\n\t\thandle @gone {\n\t\t\trespond \"sorry\"\n\t\t}\n\t}",
			"", status(401, "Unauthorized", "Unauthorized"),
		},
	} {
		// Of a site with a name, all error routes are below one for the name.
		for _, address := range []string{"http://:0", "http://" + testhandler.SiteHost + ":0"} {
			t.Run(name+" of "+address, func(t *testing.T) {
				caddyfile := strings.Replace(site, "http://:0", address, 1)
				g := testhandler.Guard(t, "", fmt.Sprintf(caddyfile, test.errors, test.before, testhandler.TokenFile(t)))
				got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", []string{accept}, "")
				if got.Status != http.StatusUnauthorized || got.Text != test.text {
					t.Errorf("status %d, text %q, want %q", got.Status, got.Text, test.text)
				}
			})
		}
	}
}
