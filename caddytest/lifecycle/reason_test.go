// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Many recipes for handle_errors print {err.message} to the client. With the reason in it the
// client would learn which of its names, groups or sources was refused, and why.
func TestAnErrorRoutePrintsTheMessageToTheClient(t *testing.T) {
	const oidc = "oidc http://127.0.0.1:1 {\naudience dash\njwks_url http://127.0.0.1:1/\n}"
	for name, errors := range map[string]string{
		"an error route": "handle_errors {\n\t\trespond \"{err.message}\"\n\t}\n",
		"no error route": "",
	} {
		for _, test := range []struct {
			name, options, line string
			fields              []string
			status              int
			message, reason     string
		}{
			{"denied", "deny_users alice", "", testhandler.AliceAnd(), 403, "forbidden", `forbidden: user "alice" is denied`},
			{"two users", "", "", testhandler.AliceAnd("X-Forwarded-User: bob"), 400, "malformed", "malformed: 2 lines of X-Forwarded-User"},
			{"a bad token", oidc, "", []string{testhandler.Bearer("a b")}, 400, "malformed", "malformed: the value after Bearer is not a token"},
			{"a password", oidc, "", []string{"Authorization: Basic eDp5"}, 401, "rejected", "rejected: no source accepts what is in Authorization"},
			{"none", "", "", nil, 401, "no credential", "no credential"},
			{"TRACE", "", "TRACE / HTTP/1.1", nil, 405, "method not allowed", "method not allowed: TRACE"},
			{"no token", "inject impersonation {\ntoken_file /does/not/exist\n}", "", testhandler.AliceAnd(), 503, "unavailable", "unavailable: reading token_file: stat /does/not/exist: no such file or directory"},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				if !strings.Contains(test.options, "inject") {
					test.options += "\ninject headers {\nuser X-User\n}"
				}
				g := testhandler.Guard(t, "", `http://:0 {
	log
	kube_identity {
		trusted_proxies static `+testhandler.TrustedPeer+`
		forwarded oauth2_proxy
		`+test.options+`
	}
	reverse_proxy %[1]s
	`+errors+`
}
`)
				line := test.line
				if line == "" {
					line = "GET / HTTP/1.1"
				}
				loaded := len(g.Log(t)) // loading warns of a missing token with the same words
				got := g.Send(t, testhandler.TrustedPeer, line, test.fields, "")
				want := ""
				if errors != "" {
					want = test.message
				}
				if got.Status != test.status || got.Text != want {
					t.Errorf("status %d, text %q, want %d, %q", got.Status, got.Text, test.status, want)
				}
				g.CheckReason(t, test.reason)
				g.CheckNothing(t)
				if test.message == test.reason {
					return
				}
				with := slices.DeleteFunc(g.Log(t)[loaded:], func(line testhandler.LogLine) bool {
					return !strings.Contains(strings.ReplaceAll(line.Raw, `\"`, `"`), test.reason)
				})
				loggers := make([]string, 0, len(with))
				for _, line := range with {
					loggers = append(loggers, line.Logger)
				}
				slices.Sort(loggers)
				inLogs := []string{"http.handlers.kube_identity", "http.handlers.kube_identity.audit", "http.log.access"}
				if !slices.Equal(loggers, inLogs) {
					t.Errorf("the reason is in the logs of %q, want %q", loggers, inLogs)
				}
			})
		}
	}
}
