// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Request has the parts of a stripped request that this package needs.
type Request struct {
	Method, Host string
	TLS          bool // Caddy itself ended TLS
	Header       http.Header
	Upgrade      string // the protocol that the request switches to; empty for most
	Peer         identity.Peer
}

// site is the name under which the client knows this server.
type site struct {
	scheme, host string
}

// site returns the site that the request was sent to. X-Forwarded-Proto and
// X-Forwarded-Host are believed only from a trusted peer. Where each proxy of a chain has
// added its own, the first is that of the browser's: a page cannot write these fields, so
// that it cannot choose the first by going through a proxy that only adds.
func (r *Request) site() site {
	s := site{"http", r.Host}
	if r.TLS {
		s.scheme = "https"
	}
	if !r.Peer.Trusted {
		return s
	}
	switch first(r.Header["X-Forwarded-Proto"]) {
	case "http", "ws": // Traefik says ws and wss for a websocket
		s.scheme = "http"
	case "https", "wss":
		s.scheme = "https"
	}
	if host := first(r.Header["X-Forwarded-Host"]); isHostAndPort(host) {
		s.host = host
	}
	return s
}

// first returns the first element of a list in one line. Two lines come from two parties of
// which one did not know of the other.
func first(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	element, _, _ := strings.Cut(lines[0], ",")
	return strings.TrimSpace(element)
}

// single returns the value of a field that has exactly one.
func single(lines []string) string {
	if len(lines) != 1 || strings.Contains(lines[0], ",") {
		return ""
	}
	return lines[0]
}

// isHostAndPort says whether s can be the authority of a URL, without user information.
func isHostAndPort(s string) bool {
	parsed, err := url.Parse("//" + s)
	return err == nil && parsed.Hostname() != "" && parsed.Host == s && parsed.User == nil &&
		strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") == ""
}

// is says whether an Origin names this site. A page over plain HTTP is not part of a site
// over HTTPS: any party on the network path can write that page. The reverse passes, since
// behind a proxy that ends TLS without saying so the scheme is unknown.
func (s site) is(origin string) bool {
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || !isHostAndPort(parsed.Host) {
		return false
	}
	page, here := withoutPort(parsed.Host, parsed.Scheme), withoutPort(s.host, parsed.Scheme)
	return (s.scheme == "http" || parsed.Scheme == "https") && origin == parsed.Scheme+"://"+parsed.Host &&
		len(page) == len(here) && strings.EqualFold(page, here) // of the same length: EqualFold takes "ſ" for "s"
}

// withoutPort leaves out the scheme's own port, as browsers do.
func withoutPort(host, scheme string) string {
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(host, port)
}
