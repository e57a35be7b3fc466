// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// redirect is where a request without an identity is sent: a URL with tokens in its query
// that are filled in. The tokens and their meaning are those of OpenShift's RequestHeader
// identity provider (loginURL, challengeURL): "${url}" is the URL of the request, escaped,
// "${query}" its query as it came, and "${server-relative-url}" its path and query, escaped.
//
// All are filled in at once: unlike in OpenShift, what a client wrote is not searched for
// tokens again. A token before the "?" is refused, so only the operator decides where the
// redirect leads.
type redirect struct {
	before string   // up to the first token
	parts  []string // token, text, token, text, …
}

// The tokens. Caddy's adapter expands its shorthand {query} inside "${query}", so there is
// a second spelling of that.
const (
	urlToken      = "${url}"
	queryToken    = "${query}"
	relativeToken = "${server-relative-url}"
	adaptedQuery  = "${http.request.uri.query}"
)

// newRedirect reads a template. It refuses one whose target a client could change, and one
// without a way back.
func newRedirect(template string) (*redirect, error) {
	template = strings.ReplaceAll(template, adaptedQuery, queryToken)
	place, query, _ := strings.Cut(template, "?")
	if err := checkPlace(place); err != nil {
		return nil, err
	}
	if strings.Contains(query, "#") {
		return nil, errors.New("a fragment: it would hide what is filled in")
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
			return nil, fmt.Errorf("%q is not a token; the tokens are %s", query[at:], strings.Join(redirectTokens(), ", "))
		}
		token := redirectTokens()[n]
		r.parts = append(r.parts, token, "")
		text = &r.parts[len(r.parts)-1]
		query = query[at+len(token):]
	}
	if len(r.parts) == 0 {
		return nil, fmt.Errorf("its query has none of %s: the way back would be lost: write one at the end, such as ?rd=${url}", strings.Join(redirectTokens(), ", "))
	}
	if err := r.checkText(); err != nil {
		return nil, err
	}
	return r, nil
}

// checkPlace checks what comes before the "?". Browsers read "//" and "///" as the
// beginning of a host, and "\" as "/".
func checkPlace(place string) error {
	if strings.ContainsAny(place, "${}") {
		return fmt.Errorf("%q: only the query can have ${url}, ${query} or ${server-relative-url}", place)
	}
	parsed, err := url.Parse(place)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", place)
	case strings.Contains(place, "#"):
		return errors.New("a fragment: it would hide what is filled in")
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

// to returns the redirect for the requested URL.
func (r *redirect) to(asked *url.URL, site site) string {
	target := asked.RequestURI()
	if !strings.HasPrefix(target, "/") { // "GET http:evil.example": without the slash "http:" would extend the site's host
		target = "/" + target
		if _, err := url.Parse(target); err != nil { // "GET http:%": net/http does not decode it
			target = "/"
		}
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

// rawQuery is a query as the client wrote it, except that characters which a query cannot
// have are escaped: a "#" would begin a fragment.
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

// notInURL says whether c must be percent-encoded in a path and in a query.
func notInURL(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("#\"<>\\^`{|}", c) >= 0
}
