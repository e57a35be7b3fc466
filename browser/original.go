// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Original is the request that a front proxy asks about: nginx with auth_request, Traefik with
// ForwardAuth, Caddy with forward_auth. What such a proxy sends is a request of its own, a GET
// whatever the client sent, and the client's request is described in its header.
type Original struct {
	Method string   // empty: the proxy does not say
	URL    *url.URL // path and query; nil: the proxy does not say

	Scheme, Host string // empty: the proxy does not say
}

const (
	maxOriginalMethod = 32
	maxOriginalTarget = 16 << 10
)

// ReadOriginal reads the fields of nginx and ingress-nginx (X-Original-Method, X-Original-URI and
// X-Original-URL) and those of Traefik and Caddy (X-Forwarded-Method, -Uri, -Proto and -Host) from
// the header of a trusted peer. All of them pass from the client through proxies that do not
// write them. So two fields that say different things, one that comes twice, and a method
// without a URI, or a URI without a method, are refused with [identity.ErrMalformed]: one of
// the two may be the client's.
func ReadOriginal(header http.Header) (*Original, error) {
	o := new(Original)
	for _, field := range [...]struct {
		name string
		read func(string) bool
	}{
		{"X-Original-Method", o.readMethod},
		{"X-Forwarded-Method", o.readMethod},
		{"X-Original-Uri", o.readTarget},
		{"X-Forwarded-Uri", o.readTarget},
		{"X-Forwarded-Proto", func(list string) bool { return o.readScheme(firstOf(list)) }},
		{"X-Forwarded-Host", func(list string) bool { return o.readHost(firstOf(list)) }},
		{"X-Original-Url", o.readURL}, // after the others, since it says all that they say
	} {
		lines := header[field.name]
		if len(lines) == 0 {
			continue
		}
		if len(lines) > 1 || !field.read(lines[0]) {
			return nil, fmt.Errorf("%w: the original request: %s is repeated, malformed, or contradicts another field",
				identity.ErrMalformed, field.name)
		}
	}
	if (o.Method == "") != (o.URL == nil) {
		return nil, fmt.Errorf("%w: the original request: the proxy says its method or its URI, and not the other", identity.ErrMalformed)
	}
	return o, nil
}

// readMethod takes what a method can be (RFC 9110, section 9.1): a token.
func (o *Original) readMethod(method string) bool {
	if method == "" || len(method) > maxOriginalMethod {
		return false
	}
	for i := range len(method) {
		if !identity.IsToken(method[i]) {
			return false
		}
	}
	return agree(&o.Method, method)
}

// readTarget takes a path with a query, as a request line has it.
func (o *Original) readTarget(target string) bool {
	if !strings.HasPrefix(target, "/") || len(target) > maxOriginalTarget {
		return false
	}
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	if o.URL != nil {
		return o.URL.RequestURI() == parsed.RequestURI()
	}
	o.URL = parsed
	return true
}

func (o *Original) readScheme(scheme string) bool {
	switch scheme {
	case "http", "ws": // Traefik says ws and wss for a websocket
		return agree(&o.Scheme, "http")
	case "https", "wss":
		return agree(&o.Scheme, "https")
	}
	return false
}

// readHost comes after readScheme: whether a port is the scheme's own depends on it.
func (o *Original) readHost(host string) bool {
	if !isHostAndPort(host) {
		return false
	}
	if o.Host != "" {
		return withoutPort(lower(o.Host), o.Scheme) == withoutPort(lower(host), o.Scheme)
	}
	o.Host = host
	return true
}

// readURL takes an absolute URL, as ingress-nginx puts it together from scheme, host and target.
func (o *Original) readURL(text string) bool {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !o.readScheme(scheme) {
		return false
	}
	host, target := rest, "/"
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		host, target = rest[:end], rest[end:]
	}
	if target[0] == '?' {
		target = "/" + target
	}
	return o.readHost(host) && o.readTarget(target)
}

// agree sets a value, or says whether it is the same as the one that another field said.
func agree(value *string, said string) bool {
	if *value == "" {
		*value = said
	}
	return *value == said
}

// firstOf is the first element of a list; see [Request.site].
func firstOf(list string) string {
	element, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(element)
}
