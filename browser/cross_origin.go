// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// CrossOrigin refuses requests that another site's page makes a browser send, with a
// credential that the browser attaches by itself. The dashboards do not check that
// themselves: Headlamp accepts a websocket of any origin, Kiali has no CSRF token.
type CrossOrigin struct {
	off        bool
	protection *http.CrossOriginProtection
	trusted    []string
}

// NewCrossOrigin reads the option cross_origin: origins, or "off".
func NewCrossOrigin(words []string) (*CrossOrigin, error) {
	if slices.Equal(words, []string{"off"}) {
		return &CrossOrigin{off: true}, nil
	}
	c := &CrossOrigin{protection: http.NewCrossOriginProtection()}
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

// checkOrigin refuses what a browser never sends as Origin: it would match no request.
func checkOrigin(origin string) error {
	parsed, err := url.Parse(origin)
	switch {
	case origin == "off":
		return errors.New("'off' cannot be combined with origins")
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		return fmt.Errorf("%q is not an origin such as https://dashboard.example.com", origin)
	case !isHostAndPort(parsed.Host) || strings.HasSuffix(parsed.Host, ":"):
		return fmt.Errorf("%q: browsers send an ASCII name without patterns, and a port only after ':'", origin)
	case origin != parsed.Scheme+"://"+strings.ToLower(parsed.Host):
		return fmt.Errorf("%q is more than an origin, or not in lower case", origin)
	case parsed.Scheme == "https" && parsed.Port() == "443", parsed.Scheme == "http" && parsed.Port() == "80":
		return fmt.Errorf("%q names the scheme's own port, which browsers leave out", origin)
	}
	return nil
}

// Check refuses, with [identity.ErrForbidden], a state-changing request or an upgrade of
// another site's page. Reading is not refused: the other site's page cannot see the
// response.
func (c *CrossOrigin) Check(r Request, id *identity.Identity) error {
	if c.off || id.Explicit {
		return nil
	}
	origins := r.Header["Origin"]
	switch {
	case r.Upgrade != "", r.Method == http.MethodConnect: // a websocket over HTTP/2 or HTTP/3
		if !c.mayOpen(r.site(), origins, r.Header["Sec-Fetch-Site"]) {
			return fmt.Errorf("%w: a page of another origin opens a stream: %s",
				identity.ErrForbidden, identity.Quote(strings.Join(origins, ", ")))
		}
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions:
	case !c.mayChange(r):
		return fmt.Errorf("%w: a page of another origin sent this: %s",
			identity.ErrForbidden, identity.Quote(strings.Join(origins, ", ")))
	}
	return nil
}

// mayChange decides about state-changing methods. CrossOriginProtection reads only the
// first line of a field, and takes the Origin "null" for this site if the site has no name.
func (c *CrossOrigin) mayChange(r Request) bool {
	site, origins := r.site(), r.Header["Origin"]
	if len(origins) > 1 || len(r.Header["Sec-Fetch-Site"]) > 1 || len(origins) == 1 && site.host == "" {
		return false
	}
	host := site.host // as the browser knows it
	if len(origins) == 1 && site.is(origins[0]) {
		_, host, _ = strings.Cut(origins[0], "://") // it may lack the port
	}
	return c.protection.Check(&http.Request{Method: r.Method, Host: host, Header: r.Header}) == nil
}

// mayOpen decides about websockets, which other sites' pages may open and read. A browser
// always sends Origin on a websocket handshake; a client that sends neither Origin nor
// Sec-Fetch-Site is not a browser.
func (c *CrossOrigin) mayOpen(site site, origins, fetchSite []string) bool {
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
