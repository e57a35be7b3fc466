// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// browserHeader returns the header of a dashboard's page behind oauth2-proxy: 15 fields, three
// of them identity fields.
func browserHeader() http.Header {
	return http.Header{
		"Accept":             {"application/json, text/plain, */*"},
		"Accept-Encoding":    {"gzip, deflate, br, zstd"},
		"Accept-Language":    {"en-GB,en;q=0.9,de;q=0.8"},
		"Cookie":             {"_oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVTMDFPR1k1WXpSaU5nLi4u; theme=dark; lang=en"},
		"Referer":            {"https://dashboard.example.com/overview"},
		"Sec-Ch-Ua":          {`"Chromium";v="142", "Not.A/Brand";v="24"`},
		"Sec-Ch-Ua-Platform": {`"Linux"`},
		"Sec-Fetch-Dest":     {"empty"},
		"Sec-Fetch-Mode":     {"cors"},
		"Sec-Fetch-Site":     {"same-origin"},
		"User-Agent":         {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"},
		"X-Forwarded-For":    {"198.51.100.7"},
		"X-Forwarded-User":   {"alice@example.com"},
		"X-Forwarded-Groups": {"dev,ops,team-a,team-b"},
		"X-Forwarded-Email":  {"alice@example.com"},
	}
}

// Copying the header is not part of Strip: clone measures it alone.
func BenchmarkStrip(b *testing.B) {
	header, work := browserHeader(), make(http.Header)
	reset := func() {
		clear(work)
		maps.Copy(work, header)
	}
	builtin := names(b, identity.BuiltinFields()...)
	b.Run("clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reset()
		}
	})
	for name, rules := range map[string]identity.StripRules{
		"fields":      {Fields: builtin},
		"and_cookies": {Fields: builtin, Cookies: identity.Patterns{"_oauth2_proxy*"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				reset()
				if stripped := rules.Strip(work, "", nil); len(stripped) != 3 {
					b.Fatal(len(stripped))
				}
			}
		})
	}
}
