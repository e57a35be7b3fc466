// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// crossOrigin refuses what another site's page makes a browser send with a credential
// that the browser sends by itself. The dashboards behind check neither (Headlamp takes a
// websocket of any origin, Kiali has no CSRF token).
type crossOrigin struct {
	off        bool
	protection *http.CrossOriginProtection
	trusted    []string
}

func newCrossOrigin(words []string) (*crossOrigin, error) {
	if slices.Equal(words, []string{"off"}) {
		return &crossOrigin{off: true}, nil
	}
	c := &crossOrigin{protection: http.NewCrossOriginProtection()}
	for _, origin := range words {
		if err := checkOrigin(origin); err != nil {
			return nil, fmt.Errorf("cross_origin: %w", err)
		}
		if err := c.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("cross_origin: %w", err)
		}
		c.trusted = append(c.trusted, origin)
	}
	return c, nil
}

// checkOrigin refuses what a browser never sends as Origin, for it would match nothing.
func checkOrigin(origin string) error {
	parsed, err := url.Parse(origin)
	switch {
	case origin == "off":
		return errors.New("'off' stands alone")
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		return fmt.Errorf("%q is no origin such as https://dashboard.example.com", origin)
	case !isHostAndPort(parsed.Host) || strings.HasSuffix(parsed.Host, ":"):
		return fmt.Errorf("%q: browsers send an ASCII name without patterns, and a port only after ':'", origin)
	case origin != parsed.Scheme+"://"+strings.ToLower(parsed.Host):
		return fmt.Errorf("%q is more than an origin, or not in lower case", origin)
	case parsed.Scheme == "https" && parsed.Port() == "443", parsed.Scheme == "http" && parsed.Port() == "80":
		return fmt.Errorf("%q names the scheme's own port, which browsers leave out", origin)
	}
	return nil
}

func parseCrossOrigin(words *[]string) func(*caddyfile.Dispenser) error {
	return list(words, func(args []string) error {
		return cause(newCrossOrigin(args))
	})
}

// check judges a request with an identity. Reading is not refused: what it returns, the
// other site's page cannot see.
func (c *crossOrigin) check(r *http.Request, req *request, id *identity.Identity) error {
	if c.off || id.Explicit {
		return nil
	}
	origins := r.Header["Origin"]
	switch {
	case req.upgrade != "", r.Method == http.MethodConnect: // a websocket over HTTP/2 or HTTP/3
		if !c.mayOpen(siteOf(r, req.Peer), origins, r.Header["Sec-Fetch-Site"]) {
			return fmt.Errorf("%w: a page of another origin opens a stream: %s",
				identity.ErrForbidden, identity.Quote(strings.Join(origins, ", ")))
		}
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions:
	case !c.mayChange(r, siteOf(r, req.Peer)):
		return fmt.Errorf("%w: a page of another origin sent this: %s",
			identity.ErrForbidden, identity.Quote(strings.Join(origins, ", ")))
	}
	return nil
}

// mayChange judges methods that change something. CrossOriginProtection reads the first
// line of a field, and takes the Origin "null" for this site where the site has no name.
func (c *crossOrigin) mayChange(r *http.Request, site site) bool {
	origins := r.Header["Origin"]
	if len(origins) > 1 || len(r.Header["Sec-Fetch-Site"]) > 1 || len(origins) == 1 && site.host == "" {
		return false
	}
	host := site.host // as the browser knows it
	if len(origins) == 1 && site.is(origins[0]) {
		_, host, _ = strings.Cut(origins[0], "://") // it may lack the port
	}
	if r.Host != host {
		r = r.WithContext(r.Context())
		r.Host = host
	}
	return c.protection.Check(r) == nil
}

// mayOpen judges websockets, which other sites' pages may open and read. A browser always
// says which page it is, if only in Origin; a client that says nothing is none.
func (c *crossOrigin) mayOpen(site site, origins, fetchSite []string) bool {
	switch {
	case len(origins) == 0 && len(fetchSite) == 0:
		return true
	case len(origins) != 1 || len(fetchSite) > 1:
		return false
	case slices.Contains(c.trusted, origins[0]):
		return true
	case len(fetchSite) == 1 && fetchSite[0] != "same-origin" && fetchSite[0] != "none":
		return false
	}
	return site.is(origins[0])
}

// site is under which name the client knows this server.
type site struct {
	scheme, host string
}

// siteOf says what the request was sent to. X-Forwarded-Proto and X-Forwarded-Host count
// from a trusted peer only, and where each has one value.
func siteOf(r *http.Request, peer identity.Peer) site {
	s := site{"http", r.Host}
	if r.TLS != nil {
		s.scheme = "https"
	}
	if !peer.Trusted {
		return s
	}
	if proto := single(r.Header["X-Forwarded-Proto"]); proto == "http" || proto == "https" {
		s.scheme = proto
	}
	if host := single(r.Header["X-Forwarded-Host"]); isHostAndPort(host) {
		s.host = host
	}
	return s
}

// single returns the value of a field that has exactly one.
func single(lines []string) string {
	if len(lines) != 1 || strings.Contains(lines[0], ",") {
		return ""
	}
	return lines[0]
}

// isHostAndPort says whether s is what may stand as the authority of a URL, without user
// information.
func isHostAndPort(s string) bool {
	parsed, err := url.Parse("//" + s)
	return err == nil && parsed.Hostname() != "" && parsed.Host == s && parsed.User == nil &&
		strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") == ""
}

// is says whether an Origin names this site. A page over plain HTTP is another origin
// than a site over HTTPS: anybody on the way to the browser can write it. The reverse is
// let pass, since behind a proxy that ends TLS and does not say so the scheme is not known.
func (s site) is(origin string) bool {
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || !isHostAndPort(parsed.Host) {
		return false
	}
	page, here := withoutPort(parsed.Host, parsed.Scheme), withoutPort(s.host, parsed.Scheme)
	return (s.scheme == "http" || parsed.Scheme == "https") && origin == parsed.Scheme+"://"+parsed.Host &&
		len(page) == len(here) && strings.EqualFold(page, here) // of the same length: "ſ" is no "s"
}

// withoutPort leaves out the scheme's own port, as browsers do.
func withoutPort(host, scheme string) string {
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(host, port)
}
