// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
)

func TestAPageHasNoScriptAndEscapesWhatItShows(t *testing.T) {
	for name, test := range map[string]struct {
		page   browser.Page
		policy string
		has    []string
	}{
		"text alone": {
			browser.Page{Title: "<b>", Text: []string{"a & b"}},
			"frame-ancestors 'none'; form-action 'none'",
			[]string{"<h1>&lt;b&gt;</h1>", "<p>a &amp; b</p>"},
		},
		"a form": {
			browser.Page{Title: "Log out?", Action: "/a/logout", Button: "Log out", Targets: []string{"https://login.example.com"}},
			"frame-ancestors 'none'; form-action 'self' https://login.example.com",
			[]string{`<form method="post" action="/a/logout"><button>Log out</button></form>`},
		},
		"a link in a frame": {
			browser.Page{Title: "Log in", Framed: true, Links: []browser.Link{{URL: "/a/login?switch=1", Text: "Log in"}}},
			"frame-ancestors 'self'; form-action 'none'",
			[]string{`<a href="/a/login?switch=1" target="_top">Log in</a>`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			header := make(http.Header)
			text := string(test.page.Write(header))
			if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.HasSuffix(policy, test.policy) {
				t.Errorf("policy %q", policy)
			}
			for _, part := range test.has {
				if !strings.Contains(text, part) {
					t.Errorf("the page lacks %s:\n%s", part, text)
				}
			}
			if strings.Contains(text, "<script") || !strings.HasPrefix(text, "<!doctype html>") || len(text) > 2048 {
				t.Errorf("the page has %d bytes:\n%s", len(text), text)
			}
			if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", header)
			}
			// A form needs its page's origin. The address of any other page stays here.
			if got, want := header.Get("Referrer-Policy"), map[bool]string{true: "same-origin", false: "no-referrer"}[test.page.Action != ""]; got != want {
				t.Errorf("Referrer-Policy %q, want %q", got, want)
			}
		})
	}
}
