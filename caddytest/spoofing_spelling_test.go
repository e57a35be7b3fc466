// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"net/http"
	"strings"
	"testing"
)

// allowing lets Caddy itself pass names with "_" and ".", which it otherwise drops, as
// operators do for applications that need such names. Caddy then drops the spelling
// with "-" instead.
const allowing = `servers {
	expected_underscore_headers X_* Impersonate_* Remote_* Proxy_* Client_* Ssl_* Cf_* Kiali_* Kubeflow_* Cloudfront_*
	expected_dot_headers X.* Impersonate.* Remote.* Proxy.* Client.* Ssl.* Cf.* Kiali.* Kubeflow.* Cloudfront.*
}`

// reading is a site on which a trusted proxy names the user in Whose, which none of
// these lists is about.
func reading(t *testing.T, options string) string {
	t.Helper()
	return strings.ReplaceAll(impersonating(t, options), "X-Forwarded-", "Whose-")
}

// CVE-2025-64484 (oauth2-proxy), CVE-2026-52845 (Caddy), CVE-2026-54763 (Traefik):
// upstreams fold names, and CGI, WSGI and PHP read REMOTE_USER out of all of these.
// Whatever is spelled like an identity is taken off, also behind a proxy that is
// trusted: it may have passed a client's variant on unseen.
func TestVariantSpellingsAreTakenOffAndNotBelieved(t *testing.T) {
	names := []string{"Impersonate-User", "X-Forwarded-User", "X-Remote-User", "X-Webauth-User", "Kiali-User", "Whose-User"}
	separators := []string{"_", ".", "~", "+", "!", "|", "'", "^", "`", "*", "#", "$", "%", "&"}
	var cases []exchange
	for _, name := range names {
		for _, separator := range separators {
			spelled := strings.ReplaceAll(name, "-", separator)
			cases = append(cases, exchange{name: "spelled " + spelled, fields: []string{spelled + ": admin"}})
		}
		cases = append(
			cases,
			exchange{name: "lower case with underscores " + name, fields: []string{
				strings.ToLower(strings.ReplaceAll(name, "-", "_")) + ": admin",
			}},
			exchange{name: "one separator of two " + name, fields: []string{
				strings.Replace(name, "-", "_", 1) + ": admin",
				strings.Replace(name, "-", ".", 1) + ": admin",
			}},
			exchange{name: "every spelling at once " + name, fields: []string{
				strings.ReplaceAll(name, "-", "_") + ": admin",
				strings.ReplaceAll(name, "-", ".") + ": admin",
				strings.ReplaceAll(name, "-", "~") + ": admin",
				strings.ToUpper(strings.ReplaceAll(name, "-", "+")) + ": admin",
			}},
		)
		if name != "Whose-User" { // a second line of what is believed is a case of its own
			cases = append(
				cases,
				exchange{name: "lower case " + name, fields: []string{strings.ToLower(name) + ": admin"}},
				exchange{name: "upper case " + name, fields: []string{strings.ToUpper(name) + ": admin"}},
			)
		}
	}
	for i := range cases {
		cases[i].fields = append([]string{"Whose-User: alice"}, cases[i].fields...)
		cases[i].want = as("alice")
	}
	guard(t, allowing, reading(t, "")).run(t, cases)
}

// A variant alone finds nobody, whoever sends it: only the exact name is believed.
func TestVariantSpellingsAlone(t *testing.T) {
	g := guard(t, allowing, reading(t, ""))
	var cases []exchange
	for _, name := range []string{"Whose~User", "whose+user", "WHOSE|USER", "Whose'User"} {
		cases = append(cases, exchange{
			name: name + " of a trusted proxy", fields: []string{name + ": admin"},
			status: http.StatusUnauthorized, reason: "no credential",
		})
	}
	for _, name := range []string{"Whose-User", "Whose~User", "whose-user", "WHOSE+USER"} {
		cases = append(cases, exchange{
			name: name + " of a stranger", from: strangerPeer, fields: []string{name + ": admin"},
			status: http.StatusUnauthorized,
			reason: "no credential: fields dropped from a peer that is not trusted: 1",
		})
	}
	g.run(t, cases)
}

// Caddy lets a spelling through that an operator wants, and it is an identity's.
func TestVariantSpellingsThatAreExpected(t *testing.T) {
	g := guard(t, `servers {
	expected_underscore_headers x_forwarded_user x_forwarded.user
	expected_dot_headers x.forwarded.user x_forwarded.user
}`, impersonating(t, "anonymous"))
	var cases []exchange
	for _, name := range []string{"X_Forwarded_User", "x_forwarded.user", "X.FORWARDED.USER"} {
		cases = append(cases, exchange{
			name: name, fields: []string{name + ": admin"}, want: as("system:anonymous", "system:unauthenticated"),
		})
	}
	g.run(t, cases)
}

// What is no identity passes, in whatever spelling: the fields of applications.
func TestOtherFieldsPassInAnySpelling(t *testing.T) {
	g := guard(t, allowing, reading(t, ""))
	cases := []exchange{
		{
			name:   "fields of an application",
			fields: []string{"X_App_Id: 1", "X.App.Id: 2", "App-Id: 3", "request-id: 4", "Remote: 5", "X+Remote: 6", "Impersonate: 7"},
			want: and(as("alice"), "X_app_id", "1", "X.app.id", "2", "App-Id", "3", "Request-Id", "4",
				"Remote", "5", "X+remote", "6", "Impersonate", "7"),
		},
		{
			name:   "fields that begin with a name of ours",
			fields: []string{"Authorization-Info: 1", "X_Forwarded_User_Agent: 2", "Client+Certificate: 3", "Whose-Users: 4"},
			want: and(as("alice"), "Authorization-Info", "1", "X_forwarded_user_agent", "2", "Client+certificate", "3",
				"Whose-Users", "4"),
		},
		{
			name:   "fields that end with a name of ours",
			fields: []string{"My-Authorization: 1", "Not-Impersonate-User: 2"},
			want:   and(as("alice"), "My-Authorization", "1", "Not-Impersonate-User", "2"),
		},
		{
			name:   "repeated lines of an application",
			fields: []string{"Tag: b", "Tag: a", "tag: b"},
			want:   and(as("alice"), "Tag", "b", "Tag", "a", "Tag", "b"),
		},
		{
			name:   "a field without a value, and one with blanks around",
			fields: []string{"Tag:", "Tag: \t a  b \t"},
			want:   and(as("alice"), "Tag", "", "Tag", "a  b"),
		},
	}
	for i := range cases {
		cases[i].fields = append([]string{"Whose-User: alice"}, cases[i].fields...)
	}
	g.run(t, cases)
}

// CVE-2023-25725 (HAProxy) and relatives: field lines that one parser takes for another
// name than the next. net/http refuses them, before any handler.
func TestFieldLinesThatAreNotOne(t *testing.T) {
	g := guard(t, "", impersonating(t, ""))
	var cases []exchange
	for name, line := range map[string]string{
		"a blank before the colon":       "Impersonate-User : admin",
		"a tab before the colon":         "Impersonate-User\t: admin",
		"an empty name":                  ": admin",
		"no colon":                       "Impersonate-User admin",
		"a blank within the name":        "Impersonate User: admin",
		"a NUL within the name":          "Impersonate-User\x00: admin",
		"a name that is not ASCII":       "Impersonate-Uſer: admin",
		"a bare CR within the value":     "X-App: a\rImpersonate-User: admin",
		"a NUL within the value":         "X-App: a\x00",
		"two lengths that differ":        "Content-Length: 1\r\nContent-Length: 2",
		"a transfer coding of two":       "Transfer-Encoding: identity, chunked",
		"a transfer coding that is none": "Transfer-Encoding: xchunked",
		"a second host":                  "Host: other.example",
	} {
		status := http.StatusBadRequest
		if strings.HasPrefix(line, "Transfer-Encoding") {
			status = http.StatusNotImplemented
		}
		cases = append(cases, exchange{name: name, fields: aliceAnd(line), status: status})
	}
	g.run(t, cases)
}
