// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Login decides the answer to a request without an identity: a redirect or a challenge.
type Login struct {
	login     *redirect
	challenge *redirect
	scheme    string
}

// NewLogin reads the options login and challenge; both may be empty.
func NewLogin(login, challenge string) (l Login, err error) {
	l.scheme = "Bearer" // RFC 9110, section 15.5.2: a 401 has a challenge
	if login != "" {
		if l.login, err = newRedirect(login); err != nil {
			return l, fmt.Errorf("login: %w", err)
		}
	}
	first, _, _ := strings.Cut(challenge, " ") // a challenge may contain a URL in its parameters
	switch {
	case challenge == "":
	case strings.Contains(first, "?"), strings.Contains(first, "://"), strings.HasPrefix(first, "/"):
		if l.challenge, err = newRedirect(challenge); err != nil {
			return l, fmt.Errorf("challenge: %w", err)
		}
	default:
		if err = checkScheme(challenge); err != nil {
			return l, fmt.Errorf("challenge: %w", err)
		}
		l.scheme = challenge
	}
	return l, nil
}

// checkScheme refuses a text that is not a challenge (RFC 9110, section 11.6.1): a scheme,
// then a blank and parameters.
func checkScheme(challenge string) error {
	scheme, _, _ := strings.Cut(challenge, " ")
	if identity.CheckField(scheme) != nil {
		return fmt.Errorf("%q is neither a URL nor a scheme such as Bearer or Basic", challenge)
	}
	for i := range len(challenge) {
		if challenge[i] < ' ' || challenge[i] >= 0x7f {
			return fmt.Errorf("%q has a character that no header field may have", challenge)
		}
	}
	if strings.HasSuffix(challenge, " ") {
		return fmt.Errorf("%q ends with a blank", challenge)
	}
	return nil
}

// Scheme is the value of WWW-Authenticate for a 401.
func (l *Login) Scheme() string { return l.scheme }

// Location returns where to redirect a refused request, or "" if it gets the 401 itself.
// A browser that navigates to a page is redirected to the login. A page's own requests are
// not: they would follow the redirect and fail silently at the other origin. A client that
// is not a browser and sends a non-empty X-CSRF-Token, as oc does, is redirected to the
// challenge.
//
// After a bad credential only clients that are certainly browsers (they send
// Sec-Fetch-Mode) are redirected, so that they can renew their session; a command-line
// client would take the login page for its answer. A request without a usable Host is never
// redirected: there would be no way back.
func (l *Login) Location(r Request, asked *url.URL, err error) string {
	if !reads(r) {
		return ""
	}
	site := r.site()
	if !isHostAndPort(site.host) {
		return ""
	}
	bad, browser := identity.IsBadCredential(err), len(r.Header["Sec-Fetch-Mode"]) > 0
	switch {
	case l.login != nil && isNavigation(r.Header) && (!bad || browser):
		return l.login.to(asked, site)
	case l.challenge != nil && !bad && !browser && single(r.Header["X-Csrf-Token"]) != "":
		return l.challenge.to(asked, site)
	}
	return ""
}

// OpensPage says whether a browser that has no identity would be sent to the login instead of
// getting the answer to this request.
func (l *Login) OpensPage(r Request) bool {
	return l.login != nil && reads(r) && isNavigation(r.Header)
}

// reads says whether a request can be answered by a redirect to another page.
func reads(r Request) bool {
	return len(r.Header["Upgrade"]) == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// isNavigation says whether a browser navigates to a page. Browsers say so in
// Sec-Fetch-Mode; old ones, and all over plain HTTP, are recognised by what they accept.
func isNavigation(header http.Header) bool {
	if mode := header["Sec-Fetch-Mode"]; len(mode) > 0 {
		return slices.Equal(mode, []string{"navigate"})
	}
	if header.Get("X-Requested-With") != "" || header.Get("X-Csrf-Token") != "" {
		return false
	}
	for _, line := range header["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			mediaType, _, _ := strings.Cut(element, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}
