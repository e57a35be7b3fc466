// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
)

func TestAHopHasTheAddressAsItCameAndOneScript(t *testing.T) {
	for name, test := range map[string]struct {
		hop  browser.Hop
		link string
	}{
		"before a login": {
			browser.Hop{Title: "Logging in", URL: "https://login.example.com/authorize?a=b&state=x", Attempt: "abc"},
			`<a id="to" href="https://login.example.com/authorize?a=b&amp;state=x" data-attempt="abc">Continue</a>`,
		},
		"before a login that is begun again": {
			browser.Hop{Title: "Logging in", URL: "https://login.example.com/", Attempt: "abc", Before: "def"},
			`<a id="to" href="https://login.example.com/" data-attempt="abc" data-before="def">Continue</a>`,
		},
		"after a login": {
			browser.Hop{Title: "Logged in", URL: "http://localhost/a?q=x in (a,'b')", Attempt: "abc", Arrives: true},
			`<a id="to" href="http://localhost/a?q=x in (a,&#39;b&#39;)" data-attempt="abc" data-arrives>Continue</a>`,
		},
		"an address that ends the attribute": {
			browser.Hop{Title: "<b>", URL: `https://a/"><script>alert(1)</script>`, Attempt: `"><script>`},
			`<a id="to" href="https://a/&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" data-attempt="&#34;&gt;&lt;script&gt;">Continue</a>`,
		},
		"an address with a script": {
			browser.Hop{Title: "Logged in", URL: "javascript:alert(1)", Attempt: "abc", Arrives: true},
			`<a id="to" href="#" data-attempt="abc" data-arrives>Continue</a>`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			header := make(http.Header)
			text := string(test.hop.Write(header))
			if !strings.Contains(text, test.link) || strings.Count(text, "<script") != 1 || len(text) > 2048 {
				t.Errorf("the page lacks %s:\n%s", test.link, text)
			}
			_, rest, _ := strings.Cut(text, "<script>")
			script, _, _ := strings.Cut(rest, "</script>")
			sum := sha256.Sum256([]byte(script))
			want := "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
			if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.HasSuffix(policy, want) {
				t.Errorf("policy %q, want the end %q", policy, want)
			}
			if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", header)
			}
		})
	}
}
