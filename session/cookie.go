// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxCookies is how much all cookies of this handler may be in a request, with names.
	// Servers and proxies refuse about 8 KiB a line (nginx, Apache) or 16 KiB in all (Caddy),
	// before any handler: the user could not even log out.
	maxCookies = 8 << 10

	// chunkSize is the length of a chunk's value. Browsers drop a cookie of more than 4096
	// bytes without a word, name included.
	chunkSize = 3900

	maxChunks = 3
	maxName   = 64

	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
)

// Site is what a request was sent to, as the browser knows it.
type Site struct {
	// Host is in lower case, as the caller wants sites told apart. A cookie of one site does
	// not open at another.
	Host string

	// Secure says that the browser uses https. Otherwise names have no prefix and cookies are
	// not Secure, which the caller must have allowed: loopback, or the option insecure_http.
	Secure bool
}

// names are the cookies of one handler.
type names struct {
	session, binding string
	domain           string   // of the cookies; empty for the host alone
	patterns         []string // of all spellings
	folded           []string // the same in lower case
}

// newNames checks a cookie name: token characters (RFC 6265, section 4.1.1), without a prefix
// that browsers give a meaning to, in any case, and without the end of a chunk's name.
func newNames(name, domain string) (names, error) {
	trimmed := strings.TrimRight(name, "0123456789")
	switch {
	case name == "" || len(name) > maxName:
		return names{}, fmt.Errorf("a cookie name of %d bytes, want 1 to %d", len(name), maxName)
	case strings.ContainsFunc(name, isNotToken):
		return names{}, fmt.Errorf("cookie name %q is not a token", name)
	case strings.HasPrefix(name, "__"):
		return names{}, fmt.Errorf("cookie name %q has a prefix of its own", name)
	case trimmed != name && strings.HasSuffix(trimmed, "_"):
		return names{}, fmt.Errorf("cookie name %q ends like that of a second cookie", name)
	}
	if strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.HasPrefix(domain, ".") {
		return names{}, fmt.Errorf("cookie domain %q is not a name in lower case", domain)
	}
	n := names{session: name, binding: strings.TrimSuffix(name, "_session") + "_login", domain: domain}
	for _, prefix := range []string{"", hostPrefix, securePrefix} {
		n.patterns = append(n.patterns, prefix+n.session, prefix+n.session+"_*", prefix+n.binding)
	}
	for _, pattern := range n.patterns {
		n.folded = append(n.folded, strings.ToLower(pattern))
	}
	return n, nil
}

func isNotToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}*`, r)
}

// full returns a name as the browser knows it. Over https the name without a prefix is never
// read: a page over plain http, or a neighbouring site, can set that one.
func (n *names) full(name string, site Site) string {
	switch {
	case !site.Secure:
		return name
	case n.domain != "":
		return securePrefix + name
	}
	return hostPrefix + name
}

// place is what cookies are bound to besides their name.
func (n *names) place(site Site) string {
	if n.domain != "" {
		return "." + n.domain
	}
	return site.Host
}

// own says whether a cookie is one of this handler, in any case: an upstream may read names in
// a way of its own.
func (n *names) own(name string) bool {
	return identity.Patterns(n.folded).Match(strings.ToLower(name))
}

// chunkName returns the name of a chunk; the first has the name itself.
func chunkName(name string, n int) string {
	if n == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(n)
}

// set returns the value of a Set-Cookie field. An age of zero deletes the cookie, which needs
// the same attributes: without Secure a browser ignores the deletion of a prefixed cookie
// (CVE-2025-55162).
func (n *names) set(name, value string, site Site, sameSite string, age time.Duration) string {
	var line strings.Builder
	line.WriteString(n.full(name, site) + "=" + value + "; Path=/")
	if n.domain != "" {
		line.WriteString("; Domain=" + n.domain)
	}
	line.WriteString("; Max-Age=" + strconv.FormatInt(int64(max(age, 0)/time.Second), 10))
	if site.Secure {
		line.WriteString("; Secure")
	}
	line.WriteString("; HttpOnly; SameSite=" + sameSite)
	return line.String()
}

// pairs calls yield with each cookie of the lines of a request's Cookie field.
func pairs(lines []string, yield func(name, value string)) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(pair, "=")
			yield(textproto.TrimString(name), textproto.TrimString(value))
		}
	}
}

// find returns the value of the cookie with exactly this name.
func find(lines []string, name string) (value string, err error) {
	found := 0
	pairs(lines, func(n, v string) {
		if n == name {
			value = v
			found++
		}
	})
	switch found {
	case 0:
		return "", ErrNoCookie
	case 1:
		return value, nil
	}
	return "", ErrDuplicate
}
