// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// locate finds out which site a request was sent to, and whether it is for one of the session's
// own paths. It strips the session's cookies in other cases than the usual one, too: upstreams
// may read names in a way of their own.
func (s *sessions) locate(r *http.Request, ex *exchange) (own bool) {
	asked := ex.browser(r)
	ex.page, ex.reads = browser.IsNavigation(asked), r.Method == http.MethodGet || r.Method == http.MethodHead
	ex.scheme, ex.host, ex.site, ex.placed = s.place(asked)
	if len(r.Header["Cookie"]) > 0 {
		s.stripCookies(r.Header)
	}
	return s.owns(r)
}

func (s *sessions) stripCookies(header http.Header) {
	var lines []string
	for _, line := range header["Cookie"] {
		own := func(pair string) bool { return s.jar.Owns(identity.CookieName(pair)) }
		pairs := strings.Split(line, ";")
		if slices.ContainsFunc(pairs, own) {
			line = strings.TrimSpace(strings.Join(slices.DeleteFunc(pairs, own), ";"))
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = lines
}

// place is the site as cookies know it. It is not ok over plain http that is not allowed.
func (s *sessions) place(r browser.Request) (scheme, host string, site session.Site, ok bool) {
	scheme, host, ok = r.Site()
	name := withoutPort(host)
	if scheme == "http" && s.tlsHosts[host] {
		scheme = "https" // a proxy that does not say so ends TLS
	}
	site = session.Site{Host: name, Secure: scheme == "https"}
	return scheme, host, site, ok && (site.Secure || s.options.InsecureHTTP || fetch.IsLoopback(name) || strings.HasSuffix(name, ".localhost"))
}

// withoutPort cuts the port off a host.
func withoutPort(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:colon]
	}
	return strings.Trim(host, "[]")
}

// isExplicit says whether a request has a bearer token in any field: then its session does not
// count, and a bad token is refused. An Authorization of another scheme is not one.
func (h *Handler) isExplicit(stripped identity.Stripped) bool {
	for _, field := range h.credentials {
		lines := stripped.Lines(field)
		switch {
		case len(lines) == 0:
		case field != "Authorization":
			for _, line := range lines {
				if !identity.IsNothing(line) {
					return true
				}
			}
		case len(lines) > 1 || len(lines[0]) >= 6 && strings.EqualFold(lines[0][:6], "bearer"):
			return true
		}
	}
	return false
}

// checkHint refuses a bearer token that was a hint at a logout: it went through an address bar.
func (s *sessions) checkHint(ctx context.Context, token string, now time.Time) error {
	s.state.ready(ctx)
	switch err := s.state.denied.CheckToken(token, now); {
	case errors.Is(err, session.ErrDenied):
		return fmt.Errorf("%w: the token was used to log out", identity.ErrRejected)
	default:
		return err
	}
}
