// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"slices"
	"strings"
)

// IsNavigation says whether a browser navigates to a page, in a window or a frame, and not
// whether it may be sent to log in for it: see [StartsLogin].
func IsNavigation(r Request) bool { return r.Upgrade == "" && isNavigation(r.Header) }

// StartsLogin says whether a request may be answered with the redirect to an issuer: a browser
// opens a page in a window of its own. Not in a frame, which issuers refuse. Not ahead of time:
// a prefetch or prerender comes as a navigation to a document, and says so in Sec-Purpose. A
// service worker that sends a navigation on says "empty" as its destination.
func StartsLogin(r Request) bool {
	if r.Method != http.MethodGet || !IsNavigation(r) || IsPrefetch(r.Header) {
		return false
	}
	destination := r.Header["Sec-Fetch-Dest"]
	return len(destination) == 0 || slices.Equal(destination, []string{"document"}) || slices.Equal(destination, []string{"empty"})
}

// IsPrefetch says whether a browser asks before the user has.
func IsPrefetch(header http.Header) bool {
	return len(header["Sec-Purpose"]) > 0 || len(header["Purpose"]) > 0 || len(header["X-Moz"]) > 0
}

// Site returns the scheme and the host, with a port that is not the scheme's own, under which
// the client knows this server. It is not ok if the host cannot be that of a URL.
func (r *Request) Site() (scheme, host string, ok bool) {
	s := r.site()
	return s.scheme, withoutPort(lower(s.host), s.scheme), isHostAndPort(s.host)
}

// lower is for ASCII alone, as hosts are compared.
func lower(host string) string {
	if !strings.ContainsAny(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return host
	}
	b := []byte(host)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ProvesSameOrigin says whether a browser says that this site's own page sent a request. A client
// that says nothing proves nothing.
func ProvesSameOrigin(r Request) bool {
	if fetchSite := r.Header["Sec-Fetch-Site"]; len(fetchSite) > 0 {
		return slices.Equal(fetchSite, []string{"same-origin"})
	}
	origins := r.Header["Origin"]
	return len(origins) == 1 && r.site().is(origins[0])
}

// IsCrossSite says whether a browser says that another site's page sent a request.
func IsCrossSite(r Request) bool {
	fetchSite, origins := r.Header["Sec-Fetch-Site"], r.Header["Origin"]
	if len(fetchSite) > 0 {
		return !slices.Equal(fetchSite, []string{"same-origin"}) && !slices.Equal(fetchSite, []string{"none"})
	}
	return len(origins) > 0 && (len(origins) > 1 || !r.site().is(origins[0]))
}
