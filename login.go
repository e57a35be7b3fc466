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
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// redirect is where a request without an identity is sent: a URL of which some tokens in
// the query are filled in. The words and their meaning are those of OpenShift's
// RequestHeader identity provider (loginURL, challengeURL): "${url}" is the URL of the
// request, escaped, "${query}" its query as it came, and "${server-relative-url}" its path
// and query, escaped.
//
// All are filled in at once: what a client wrote is not looked at for tokens again, as it
// is in OpenShift. No token can stand before the "?", so where the redirect goes to is
// the operator's to say alone.
type redirect struct {
	before string   // up to the first token
	parts  []string // token, text, token, text, …
}

// The tokens. Caddy's adapter expands its shorthand {query} in "${query}", so that is
// the second spelling of the same.
const (
	urlToken      = "${url}"
	queryToken    = "${query}"
	relativeToken = "${server-relative-url}"
	adaptedQuery  = "${http.request.uri.query}"
)

// newRedirect reads a template, and refuses one that could lead astray or lead nowhere.
func newRedirect(template string) (*redirect, error) {
	template = strings.ReplaceAll(template, adaptedQuery, queryToken)
	place, query, _ := strings.Cut(template, "?")
	if err := checkPlace(place); err != nil {
		return nil, err
	}
	if strings.Contains(query, "#") {
		return nil, errors.New("a fragment: it would swallow what is filled in")
	}
	r := &redirect{before: place + "?"}
	text := &r.before
	for query != "" {
		at := strings.Index(query, "$")
		if at < 0 {
			*text += query
			break
		}
		*text += query[:at]
		n := slices.IndexFunc(redirectTokens(), func(token string) bool { return strings.HasPrefix(query[at:], token) })
		if n < 0 {
			return nil, fmt.Errorf("%q: there are %s", query[at:], strings.Join(redirectTokens(), ", "))
		}
		token := redirectTokens()[n]
		r.parts = append(r.parts, token, "")
		text = &r.parts[len(r.parts)-1]
		query = query[at+len(token):]
	}
	if len(r.parts) == 0 {
		return nil, fmt.Errorf("there is none of %s in its query: the way back would be lost", strings.Join(redirectTokens(), ", "))
	}
	if err := r.checkText(); err != nil {
		return nil, err
	}
	return r, nil
}

// checkPlace judges what stands before the "?". Browsers take "//" and "///" for the
// beginning of a host, and "\" for "/".
func checkPlace(place string) error {
	if strings.ContainsAny(place, "${}") {
		return fmt.Errorf("%q: only the query can have ${url}, ${query} or ${server-relative-url}", place)
	}
	parsed, err := url.Parse(place)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", place)
	case strings.Contains(place, "#"):
		return errors.New("a fragment: it would swallow what is filled in")
	case parsed.User != nil:
		return errors.New("a URL with a user name")
	case strings.HasPrefix(place, "/") && !strings.HasPrefix(place, "//"):
		return nil
	case (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Hostname() == "":
		return fmt.Errorf("%q is neither an http or https URL nor a path", place)
	}
	return nil
}

// checkText refuses what no URL has, such as a line break, and "\".
func (r *redirect) checkText() error {
	for i := -1; i < len(r.parts); i += 2 {
		text := r.before
		if i >= 0 {
			text = r.parts[i]
		}
		for n := range len(text) {
			if notInURL(text[n]) {
				return fmt.Errorf("%q has a character that must be percent-encoded", text)
			}
		}
	}
	return nil
}

func redirectTokens() []string { return []string{urlToken, queryToken, relativeToken} }

// to fills in what was asked for.
func (r *redirect) to(request *http.Request, site site) string {
	asked := askedFor(request)
	target := asked.RequestURI()
	if !strings.HasPrefix(target, "/") { // "GET http:evil.example": it would join the host
		target = "/" + target
	}
	var b strings.Builder
	b.WriteString(r.before)
	for i := 0; i < len(r.parts); i += 2 {
		switch r.parts[i] {
		case urlToken:
			b.WriteString(url.QueryEscape(site.scheme + "://" + site.host + target))
		case relativeToken:
			// not "//evil.example": the login would send the user there afterwards
			b.WriteString(url.QueryEscape("/" + strings.TrimLeft(target, `/\`)))
		case queryToken:
			b.WriteString(rawQuery(asked.RawQuery))
		}
		b.WriteString(r.parts[i+1])
	}
	return b.String()
}

// askedFor is the URL that the client asked for: rewrite, uri and handle_path may have
// changed it before this handler, and the way back leads through them again.
func askedFor(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// rawQuery is a query as the client wrote it, but for what cannot stand in one: a "#"
// would begin a fragment.
func rawQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; notInURL(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// notInURL says whether c can stand nowhere in a path or a query but percent-encoded.
func notInURL(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("#\"<>\\^`{|}", c) >= 0
}

// invitation says what a request gets that has no identity: where to log in, or how.
type invitation struct {
	login     *redirect
	challenge *redirect
	scheme    string // value of WWW-Authenticate
}

func newInvitation(login, challenge string) (i invitation, err error) {
	i.scheme = "Bearer" // RFC 9110, section 15.5.2: a 401 has a challenge
	if login != "" {
		if i.login, err = newRedirect(login); err != nil {
			return i, fmt.Errorf("login: %w", err)
		}
	}
	first, _, _ := strings.Cut(challenge, " ") // a scheme's parameters may have a URL
	switch {
	case challenge == "":
	case strings.Contains(first, "?"), strings.Contains(first, "://"), strings.HasPrefix(first, "/"):
		if i.challenge, err = newRedirect(challenge); err != nil {
			return i, fmt.Errorf("challenge: %w", err)
		}
	default:
		if err = checkScheme(challenge); err != nil {
			return i, fmt.Errorf("challenge: %w", err)
		}
		i.scheme = challenge
	}
	return i, nil
}

// checkScheme refuses what cannot be a challenge (RFC 9110, section 11.6.1): a scheme,
// and parameters behind a blank.
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

// location returns where to send a refused request, or "" when it gets the 401 itself.
// A browser that goes to a page is sent to the login. A page's own requests are not: they
// would follow the redirect, and die of the other origin without a word. A client that is
// no browser and sends a non-empty X-CSRF-Token, as oc does, is sent to the challenge.
//
// With a credential that is bad only what is a browser beyond doubt is sent to the login,
// where its session is renewed. A command-line client would take the login page for an
// answer. Nor is anybody sent away whose Host is none: where to come back to is not known.
func (i *invitation) location(r *http.Request, req *request, err error) string {
	if req.upgrade != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	site := siteOf(r, req.Peer)
	if !isHostAndPort(site.host) {
		return ""
	}
	bad, browser := identity.Bad(err), len(r.Header["Sec-Fetch-Mode"]) > 0
	switch {
	case i.login != nil && isNavigation(r) && (!bad || browser):
		return i.login.to(r, site)
	case i.challenge != nil && !bad && !browser && single(r.Header["X-Csrf-Token"]) != "":
		return i.challenge.to(r, site)
	}
	return ""
}

// isNavigation says whether a browser goes to a page. Browsers say so in Sec-Fetch-Mode;
// from those that do not, and over plain HTTP, one is told by what it accepts.
func isNavigation(r *http.Request) bool {
	if mode := r.Header["Sec-Fetch-Mode"]; len(mode) > 0 {
		return slices.Equal(mode, []string{"navigate"})
	}
	if r.Header.Get("X-Requested-With") != "" || r.Header.Get("X-Csrf-Token") != "" {
		return false
	}
	for _, line := range r.Header["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			mediaType, _, _ := strings.Cut(element, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}

func (h *Handler) parseLogin(d *caddyfile.Dispenser) error {
	return word(&h.Login, func(s string) error { return cause(newInvitation(s, "")) })(d)
}

func (h *Handler) parseChallenge(d *caddyfile.Dispenser) error {
	return word(&h.Challenge, func(s string) error { return cause(newInvitation("", s)) })(d)
}

// cause leaves out the option's name, which the parser puts before an error itself.
func cause[T any](_ T, err error) error {
	if wrapped := errors.Unwrap(err); wrapped != nil {
		return wrapped
	}
	return err
}
