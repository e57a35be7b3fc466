// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// allowing makes Caddy itself pass names with "_" and ".", which it otherwise drops, as
// operators do for applications that need such names. Caddy then drops the spelling with "-"
// instead.
const allowing = `servers {
	expected_underscore_headers X_* Impersonate_* Remote_* Proxy_* Client_* Ssl_* Cf_* Kiali_* Kubeflow_* Cloudfront_*
	expected_dot_headers X.* Impersonate.* Remote.* Proxy.* Client.* Ssl.* Cf.* Kiali.* Kubeflow.* Cloudfront.*
}`

// reading is a site on which a trusted proxy names the user in Whose, which is in none of
// these lists.
func reading(t *testing.T, options string) string {
	t.Helper()
	return strings.ReplaceAll(testhandler.Impersonating(t, options), "X-Forwarded-", "Whose-")
}

// CVE-2025-64484 (oauth2-proxy), CVE-2026-52845 (Caddy), CVE-2026-54763 (Traefik): upstreams
// fold names, and CGI, WSGI and PHP read REMOTE_USER from all of these. Every spelling of an
// identity field is stripped, also behind a trusted proxy, which may have passed on a
// client's variant without noticing.
func TestVariantSpellingsAreStrippedAndNotBelieved(t *testing.T) {
	names := []string{"Impersonate-User", "X-Forwarded-User", "X-Remote-User", "X-Webauth-User", "Kiali-User", "Whose-User"}
	separators := []string{"_", ".", "~", "+", "!", "|", "'", "^", "`", "*", "#", "$", "%", "&"}
	var cases []testhandler.Exchange
	for _, name := range names {
		for _, separator := range separators {
			spelled := strings.ReplaceAll(name, "-", separator)
			cases = append(cases, testhandler.Exchange{Name: "spelled " + spelled, Fields: []string{spelled + ": admin"}})
		}
		cases = append(
			cases,
			testhandler.Exchange{Name: "lower case with underscores " + name, Fields: []string{
				strings.ToLower(strings.ReplaceAll(name, "-", "_")) + ": admin",
			}},
			testhandler.Exchange{Name: "one separator of two " + name, Fields: []string{
				strings.Replace(name, "-", "_", 1) + ": admin",
				strings.Replace(name, "-", ".", 1) + ": admin",
			}},
			testhandler.Exchange{Name: "every spelling at once " + name, Fields: []string{
				strings.ReplaceAll(name, "-", "_") + ": admin",
				strings.ReplaceAll(name, "-", ".") + ": admin",
				strings.ReplaceAll(name, "-", "~") + ": admin",
				strings.ToUpper(strings.ReplaceAll(name, "-", "+")) + ": admin",
			}},
		)
		if name != "Whose-User" { // a second line of the believed field is a separate case
			cases = append(
				cases,
				testhandler.Exchange{Name: "lower case " + name, Fields: []string{strings.ToLower(name) + ": admin"}},
				testhandler.Exchange{Name: "upper case " + name, Fields: []string{strings.ToUpper(name) + ": admin"}},
			)
		}
	}
	for i := range cases {
		cases[i].Fields = append([]string{"Whose-User: alice"}, cases[i].Fields...)
		cases[i].Want = testhandler.As("alice")
	}
	testhandler.Guard(t, allowing, reading(t, "")).RunAndCheck(t, cases)
}

// A variant alone authenticates no client, whoever sends it: only the exact name is
// believed.
func TestVariantSpellingsAlone(t *testing.T) {
	g := testhandler.Guard(t, allowing, reading(t, ""))
	var cases []testhandler.Exchange
	for _, name := range []string{"Whose~User", "whose+user", "WHOSE|USER", "Whose'User"} {
		cases = append(cases, testhandler.Exchange{
			Name: name + " of a trusted proxy", Fields: []string{name + ": admin"},
			Status: http.StatusUnauthorized, Reason: "no credential",
		})
	}
	for _, name := range []string{"Whose-User", "Whose~User", "whose-user", "WHOSE+USER"} {
		cases = append(cases, testhandler.Exchange{
			Name: name + " of a stranger", From: testhandler.StrangerPeer, Fields: []string{name + ": admin"},
			Status: http.StatusUnauthorized,
			Reason: "no credential: fields dropped from a peer that is not trusted: 1",
		})
	}
	g.RunAndCheck(t, cases)
}

// Caddy passes a spelling that an operator expects, although it is that of an identity.
func TestVariantSpellingsThatAreExpected(t *testing.T) {
	g := testhandler.Guard(t, `servers {
	expected_underscore_headers x_forwarded_user x_forwarded.user
	expected_dot_headers x.forwarded.user x_forwarded.user
}`, testhandler.Impersonating(t, "anonymous"))
	var cases []testhandler.Exchange
	for _, name := range []string{"X_Forwarded_User", "x_forwarded.user", "X.FORWARDED.USER"} {
		cases = append(cases, testhandler.Exchange{
			Name: name, Fields: []string{name + ": admin"}, Want: testhandler.As("system:anonymous", "system:unauthenticated"),
		})
	}
	g.RunAndCheck(t, cases)
}

// A field that is not an identity's passes in any spelling: it may be an application's.
func TestOtherFieldsPassInAnySpelling(t *testing.T) {
	g := testhandler.Guard(t, allowing, reading(t, ""))
	cases := []testhandler.Exchange{
		{
			Name:   "fields of an application",
			Fields: []string{"X_App_Id: 1", "X.App.Id: 2", "App-Id: 3", "request-id: 4", "Remote: 5", "X+Remote: 6", "Impersonate: 7"},
			Want: testhandler.And(testhandler.As("alice"), "X_app_id", "1", "X.app.id", "2", "App-Id", "3", "Request-Id", "4",
				"Remote", "5", "X+remote", "6", "Impersonate", "7"),
		},
		{
			Name:   "fields that begin with a name of ours",
			Fields: []string{"Authorization-Info: 1", "X_Forwarded_User_Agent: 2", "Client+Certificate: 3", "Whose-Users: 4"},
			Want: testhandler.And(testhandler.As("alice"), "Authorization-Info", "1", "X_forwarded_user_agent", "2", "Client+certificate", "3",
				"Whose-Users", "4"),
		},
		{
			Name:   "fields that end with a name of ours",
			Fields: []string{"My-Authorization: 1", "Not-Impersonate-User: 2"},
			Want:   testhandler.And(testhandler.As("alice"), "My-Authorization", "1", "Not-Impersonate-User", "2"),
		},
		{
			Name:   "repeated lines of an application",
			Fields: []string{"Tag: b", "Tag: a", "tag: b"},
			Want:   testhandler.And(testhandler.As("alice"), "Tag", "b", "Tag", "a", "Tag", "b"),
		},
		{
			Name:   "a field without a value, and one with blanks around",
			Fields: []string{"Tag:", "Tag: \t a  b \t"},
			Want:   testhandler.And(testhandler.As("alice"), "Tag", "", "Tag", "a  b"),
		},
	}
	for i := range cases {
		cases[i].Fields = append([]string{"Whose-User: alice"}, cases[i].Fields...)
	}
	g.RunAndCheck(t, cases)
}

// CVE-2023-25725 (HAProxy) and relatives: two parsers read different names from one field
// line. net/http refuses such lines, before any handler.
func TestBrokenFieldLines(t *testing.T) {
	g := testhandler.Guard(t, "", testhandler.Impersonating(t, ""))
	var cases []testhandler.Exchange
	for name, line := range map[string]string{
		"a blank before the colon":   "Impersonate-User : admin",
		"a tab before the colon":     "Impersonate-User\t: admin",
		"an empty name":              ": admin",
		"no colon":                   "Impersonate-User admin",
		"a blank within the name":    "Impersonate User: admin",
		"a NUL within the name":      "Impersonate-User\x00: admin",
		"a name that is not ASCII":   "Impersonate-Uſer: admin",
		"a bare CR within the value": "X-App: a\rImpersonate-User: admin",
		"a NUL within the value":     "X-App: a\x00",
		"two lengths that differ":    "Content-Length: 1\r\nContent-Length: 2",
		"a transfer coding of two":   "Transfer-Encoding: identity, chunked",
		"an unknown transfer coding": "Transfer-Encoding: xchunked",
		"a second host":              "Host: other.example",
	} {
		status := http.StatusBadRequest
		if strings.HasPrefix(line, "Transfer-Encoding") {
			status = http.StatusNotImplemented
		}
		cases = append(cases, testhandler.Exchange{Name: name, Fields: testhandler.AliceAnd(line), Status: status})
	}
	g.RunAndCheck(t, cases)
}
