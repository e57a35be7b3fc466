// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"encoding/base64"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"
)

// bearerSubprotocol begins the element of Sec-WebSocket-Protocol in which a browser
// passes a bearer token to the API server (k8s.io/apiserver,
// pkg/authentication/request/websocket): a second way in for a credential.
// headlampSubprotocol begins the one that Headlamp takes for X-HEADLAMP-USER-ID
// (backend/cmd/stateless.go): a second way in for that field.
const (
	bearerSubprotocol   = "base64url.bearer.authorization.k8s.io."
	headlampSubprotocol = "base64url.headlamp.authorization.k8s.io."
	subprotocolField    = "Sec-Websocket-Protocol"
)

// StripRules say what is stripped off a request: everything that speaks about the sender.
type StripRules struct {
	// Fields are the names to strip: the built-in ones, those of every source and
	// injector, and the operator's own.
	Fields *Names

	// Cookies are the names of cookies to strip; a trailing "*" is a prefix.
	Cookies Patterns

	// PassAuthorization leaves the field Authorization in the request, for upstreams with
	// a login of their own. Variant spellings of the name are stripped nevertheless.
	PassAuthorization bool
}

// Strip strips the sender's fields off header, in place, so that error routes do not see
// them either, and returns them, appended to stripped. Connection is not filtered but rebuilt
// from upgrade alone (empty, or the protocol that [Shape.Check] returned): a client could
// otherwise send "Connection: Impersonate-User" and make reverse_proxy delete the field that an
// injector writes (CVE-2021-31999, CVE-2022-23652).
func (r *StripRules) Strip(header http.Header, upgrade string, stripped Stripped) Stripped {
	var raw []string // not canonical: set by another middleware, never by net/http
	for name, values := range header {
		switch {
		case !r.Fields.Match(name):
			if canonicalSpecial(name) != "" {
				raw = append(raw, name)
			}
		case r.PassAuthorization && name == "Authorization":
		case textproto.CanonicalMIMEHeaderKey(name) != name:
			raw = append(raw, name)
		default:
			delete(header, name)
			stripped = append(stripped, StrippedField{name, values})
		}
	}
	for _, name := range raw {
		if special := canonicalSpecial(name); special != "" && !r.Fields.Match(name) {
			header[special] = slices.Concat(header[special], header[name])
		} else {
			stripped.merge(textproto.CanonicalMIMEHeaderKey(name), header[name])
		}
		delete(header, name)
	}
	stripSubprotocol(header, &stripped)
	if len(r.Cookies) > 0 {
		r.stripCookies(header)
	}
	rebuildConnection(header, upgrade)
	return stripped
}

// canonicalSpecial returns the canonical spelling of a field that has rules of its own, if
// name is another spelling of it, and "" for all other names. reverse_proxy sends every
// spelling that is in the map, and the upstream sees one field.
func canonicalSpecial(name string) string {
	for _, canonical := range [...]string{
		"Connection", "Cookie", "Http2-Settings", "Keep-Alive", "Proxy-Connection", subprotocolField, "Trailer", "Upgrade",
	} {
		if name != canonical && equalFoldASCII(name, canonical) {
			return canonical
		}
	}
	return ""
}

// stripSubprotocol strips credentials off Sec-WebSocket-Protocol. Each bearer token becomes
// one more line of Authorization among the stripped fields. The prefix is compared in any
// case, so that no token is left which an upstream might read.
func stripSubprotocol(header http.Header, stripped *Stripped) {
	var rest, tokens []string
	found := false
	for _, line := range header[subprotocolField] {
		for element := range strings.SplitSeq(line, ",") {
			element = strings.TrimSpace(element) // also trims Unicode's blanks, as the API server does
			switch {
			case hasPrefixFold(element, bearerSubprotocol):
				tokens = append(tokens, "Bearer "+decodeSubprotocol(element[len(bearerSubprotocol):]))
				found = true
			case hasPrefixFold(element, headlampSubprotocol):
				found = true
			case element != "":
				rest = append(rest, element)
			}
		}
	}
	if !found {
		return // without a credential the lines stay as they are
	}
	if len(tokens) > 0 {
		stripped.merge("Authorization", tokens)
	}
	if len(rest) == 0 {
		delete(header, subprotocolField)
		return
	}
	header[subprotocolField] = []string{strings.Join(rest, ", ")}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFoldASCII(s[:len(prefix)], prefix)
}

// decodeSubprotocol returns the token, or "" if it cannot be read: the result is then a
// bearer credential that is present and bad.
func decodeSubprotocol(encoded string) string {
	token, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !utf8.Valid(token) {
		return ""
	}
	return string(token)
}

// stripCookies strips cookies by name and leaves the others byte for byte.
func (r *StripRules) stripCookies(header http.Header) {
	var lines []string
	for _, line := range header["Cookie"] {
		var kept []string
		for cookie := range strings.SplitSeq(line, ";") {
			if !r.Cookies.Match(CookieName(cookie)) {
				kept = append(kept, cookie)
			}
		}
		if rest := textproto.TrimString(strings.Join(kept, ";")); rest != "" {
			lines = append(lines, rest)
		}
	}
	if len(lines) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = lines
}

// CookieName returns the name of a cookie, "name=value" or "name", without blanks around it
// (RFC 6265bis, section 5.6). Where the name is empty, the name in its value counts: a
// browser sends a nameless cookie back as its value alone, and a server may read
// "=name=value" as it reads "name=value".
func CookieName(pair string) string {
	name, value, _ := strings.Cut(pair, "=")
	if name = textproto.TrimString(name); name == "" {
		name, _, _ = strings.Cut(value, "=")
		name = textproto.TrimString(name)
	}
	return name
}

// rebuildConnection removes the fields that belong to the connection, and writes exactly
// those that the upgrade needs.
func rebuildConnection(header http.Header, upgrade string) {
	delete(header, "Connection")
	delete(header, "Proxy-Connection")
	delete(header, "Keep-Alive")
	delete(header, "Http2-Settings") // of an offer of h2c
	delete(header, "Trailer")        // quic-go leaves it in the header
	delete(header, "Upgrade")
	if upgrade != "" {
		header["Connection"] = []string{"Upgrade"}
		header["Upgrade"] = []string{upgrade}
	}
}
