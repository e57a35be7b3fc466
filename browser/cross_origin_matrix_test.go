// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"strings"
	"testing"
)

// origin says which site's page a request claims to come from.
type origin int

const (
	unsaid       origin = iota // no Origin
	here                       // this site
	trusted                    // one that cross_origin names
	hereInPlain                // this site, over plain HTTP
	foreign                    // any other site, and "null"
	contradicted               // two Origin lines
)

// fetchSite is the relation of the page to this site, as a browser states it.
type fetchSite int

const (
	silent      fetchSite = iota // no Sec-Fetch-Site: an old browser, plain HTTP, or not a browser
	own                          // same-origin, or none: the user's own doing
	elsewhere                    // same-site, cross-site, and values that no browser sends
	selfDenying                  // two lines
)

// crossingAllowed is the rule. It reads the meaning of a request, not its fields, and does not
// ask for the credential.
func crossingAllowed(method string, from origin, site fetchSite) bool {
	upgrade := method == "websocket" || method == "SPDY" || method == "websocket h2"
	switch {
	case !upgrade && (method == "GET" || method == "HEAD" || method == "OPTIONS"):
		return true
	case from == contradicted || site == selfDenying:
		return false
	case from == trusted:
		return true
	case site == elsewhere:
		return false
	case upgrade:
		return from == here || from == unsaid && site == silent
	case site == own: // the browser vouches for it
		return true
	default:
		return from == unsaid || from == here
	}
}

func TestCrossOriginMatrix(t *testing.T) {
	senders := []struct {
		name string
		from origin
		site fetchSite
		send http.Header
	}{
		{"the same origin", here, own, fetchMetadata("same-origin", thisOrigin)},
		{"the same site", foreign, elsewhere, fetchMetadata("same-site", "https://other.example.com")},
		{"another site", foreign, elsewhere, fetchMetadata("cross-site", "https://evil.example")},
		{"another site without Origin", unsaid, elsewhere, fetchMetadata("cross-site")},
		{"the same site without Origin", unsaid, elsewhere, fetchMetadata("same-site")},
		{"the user", unsaid, own, fetchMetadata("none")},
		{"the same origin without Origin", unsaid, own, fetchMetadata("same-origin")},
		{"a client that is not a browser", unsaid, silent, nil},
		{"a sandboxed frame", foreign, elsewhere, fetchMetadata("cross-site", "null")},
		{"a sandboxed frame in an old browser", foreign, silent, fetchMetadata("", "null")},
		{"a trusted origin", trusted, elsewhere, fetchMetadata("cross-site", trustedOrigin)},
		{"a trusted origin in an old browser", trusted, silent, fetchMetadata("", trustedOrigin)},
		{"a trusted origin over plain HTTP", foreign, elsewhere, fetchMetadata("cross-site", "http://portal.example.net")},
		{"a trusted origin with a port", foreign, silent, fetchMetadata("", trustedOrigin+":8443")},
		{"a trusted origin as a prefix", foreign, silent, fetchMetadata("", trustedOrigin+".evil.example")},
		{"another port", foreign, elsewhere, fetchMetadata("same-site", thisOrigin+":8443")},
		{"another port in an old browser", foreign, silent, fetchMetadata("", thisOrigin+":8443")},
		{"another scheme", hereInPlain, elsewhere, fetchMetadata("cross-site", "http://dash.example.com")},
		{"another scheme in an old browser", hereInPlain, silent, fetchMetadata("", "http://dash.example.com")},
		{"an old browser", here, silent, fetchMetadata("", thisOrigin)},
		{"an old browser on another site", foreign, silent, fetchMetadata("", "https://evil.example")},
		{"an old browser on a site that ends alike", foreign, silent, fetchMetadata("", "https://xdash.example.com")},
		{"an old browser on a site that begins alike", foreign, silent, fetchMetadata("", thisOrigin+".evil.example")},
		{"an extension", foreign, silent, fetchMetadata("", "chrome-extension://abcdef")},
		{"an extension, according to the browser", foreign, elsewhere, fetchMetadata("cross-site", "chrome-extension://abcdef")},
		{"two Origin lines, the good one first", contradicted, silent, fetchMetadata("", thisOrigin, "https://evil.example")},
		{"two Origin lines, the bad one first", contradicted, silent, fetchMetadata("", "https://evil.example", thisOrigin)},
		{"two Origin lines of the same", contradicted, own, fetchMetadata("same-origin", thisOrigin, thisOrigin)},
		{"two Origin lines, one trusted", contradicted, elsewhere, fetchMetadata("cross-site", trustedOrigin, "https://evil.example")},
		{"a value that no browser sends", here, elsewhere, fetchMetadata("yes", thisOrigin)},
		{"a value in another case", here, elsewhere, fetchMetadata("Same-Origin", thisOrigin)},
		{"a list of values", here, elsewhere, fetchMetadata("same-origin, cross-site", thisOrigin)},
		{
			"two Sec-Fetch-Site lines", here, selfDenying,
			http.Header{"Sec-Fetch-Site": {"same-origin", "cross-site"}, "Origin": {thisOrigin}},
		},
		{
			"two Sec-Fetch-Site lines from a trusted origin", trusted, selfDenying,
			http.Header{"Sec-Fetch-Site": {"none", "none"}, "Origin": {trustedOrigin}},
		},
	}
	methods := []string{
		"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "websocket", "SPDY", "websocket h2",
	}
	for _, c := range newCrossings(t, object{"cross_origin": []string{trustedOrigin}}) {
		for _, sender := range senders {
			for _, method := range methods {
				t.Run(strings.Join([]string{c.name, sender.name, method}, "/"), func(t *testing.T) {
					wantCrossing(t, c, crossingRequest(method, sender.send), crossingAllowed(method, sender.from, sender.site))
				})
			}
		}
	}
}
