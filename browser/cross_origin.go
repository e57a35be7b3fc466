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

// CrossOrigin refuses requests that another site's page makes a browser send. It does so
// whatever the credential: a proxy or another handler ahead of this one may have turned the
// browser's cookie into an Authorization. The dashboards do not check that themselves:
// Headlamp accepts a websocket of any origin, Kiali has no CSRF token.
type CrossOrigin struct {
	off     bool
	trusted []string
}

// NewCrossOrigin reads the option cross_origin: origins, or "off".
func NewCrossOrigin(words []string) (*CrossOrigin, error) {
	if slices.Equal(words, []string{"off"}) {
		return &CrossOrigin{off: true}, nil
	}
	for _, origin := range words {
		if err := checkOrigin(origin); err != nil {
			return nil, fmt.Errorf("cross_origin: %w", err)
		}
	}
	return &CrossOrigin{trusted: words}, nil
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
// response. The error names this site as the request names it, since a proxy in front that
// changes Host makes it another one.
func (c *CrossOrigin) Check(r Request) error {
	opens := r.Upgrade != "" || r.Method == http.MethodConnect // a websocket over HTTP/2 or HTTP/3
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	if c.off || reads && !opens {
		return nil
	}
	site := r.site()
	if c.ofThisSite(r, site, opens) {
		return nil
	}
	if opens {
		return fmt.Errorf("%w: a page of another origin opens a stream: %s", identity.ErrForbidden, compared(r, site))
	}
	return fmt.Errorf("%w: a page of another origin sent this: %s", identity.ErrForbidden, compared(r, site))
}

// IsPreflight says whether a browser asks, for a page of another origin, whether the page may
// send a request (Fetch standard, section "CORS protocol").
func IsPreflight(r Request) bool {
	origins := r.Header["Origin"]
	if r.Method != http.MethodOptions || len(origins) == 0 || len(r.Header["Access-Control-Request-Method"]) == 0 {
		return false
	}
	return len(origins) > 1 || !r.site().is(origins[0])
}

// CheckPreflight refuses, with [identity.ErrForbidden], a preflight of an origin that is not
// listed, and one that is also something else.
func (c *CrossOrigin) CheckPreflight(r Request) error {
	origins := r.Header["Origin"]
	if len(origins) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1 && r.Upgrade == "" &&
		(c.off || slices.Contains(c.trusted, origins[0])) {
		return nil
	}
	return fmt.Errorf("%w: a preflight of a page of another origin: %s", identity.ErrForbidden, compared(r, r.site()))
}

// compared are the names that differ, for the log.
func compared(r Request, site site) string {
	text := fmt.Sprintf("%s, and this site is %s",
		identity.Quote(strings.Join(r.Header["Origin"], ", ")), identity.Quote(site.scheme+"://"+site.host))
	if lacksPort(r.Header["Origin"], site) {
		text += ": they differ in the port alone: let the proxy in front pass the client's Host with its port, or list the origin in cross_origin"
	}
	return text
}

// lacksPort says whether an Origin is this site with a port: many a configuration of nginx passes
// $host, which has none, and which site a page is of can only be seen when it sends something.
func lacksPort(origins []string, site site) bool {
	if len(origins) != 1 {
		return false
	}
	origin, err := url.Parse(origins[0])
	here, notHere := url.Parse("//" + site.host)
	return err == nil && notHere == nil && origins[0] == origin.Scheme+"://"+origin.Host && isHostAndPort(origin.Host) &&
		origin.Port() != "" && here.Port() == "" &&
		strings.EqualFold(origin.Hostname(), here.Hostname())
}

// ofThisSite says whether a request comes from this site's own page, from one that the
// operator lists, from the user, or from a client that is not a browser and says nothing in
// Origin and Sec-Fetch-Site. A browser always sends Origin on a websocket handshake, and
// not always Sec-Fetch-Site. For other requests it may leave Origin out, or hide it ("null"),
// while Sec-Fetch-Site vouches for the page.
func (c *CrossOrigin) ofThisSite(r Request, site site, opens bool) bool {
	origins, fetchSite := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	vouched := slices.Equal(fetchSite, []string{"same-origin"}) || slices.Equal(fetchSite, []string{"none"})
	switch {
	case len(origins) > 1 || len(fetchSite) > 1:
		return false
	case len(origins) == 1 && slices.Contains(c.trusted, origins[0]):
		return true
	case len(fetchSite) > 0 && !vouched:
		return false
	case vouched && !opens:
		return true
	case len(origins) == 0:
		return len(fetchSite) == 0
	}
	return site.is(origins[0])
}
