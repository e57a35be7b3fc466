// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// As is the header that impersonation writes for a user.
func As(user string, groups ...string) http.Header {
	header := http.Header{"Authorization": {"Bearer " + OwnToken}, "Impersonate-User": {user}}
	if len(groups) > 0 {
		header["Impersonate-Group"] = groups
	}
	return header
}

// And returns a header with more fields.
func And(header http.Header, more ...string) http.Header {
	header = header.Clone()
	for field := range slices.Chunk(more, 2) {
		header[field[0]] = append(header[field[0]], field[1])
	}
	return header
}

// AliceAnd are the lines in which the trusted proxy names alice, and others.
func AliceAnd(fields ...string) []string {
	return append([]string{"X-Forwarded-User: alice"}, fields...)
}

// Proxied is a header that arrives at the upstream: fields, and those that reverse_proxy
// writes itself.
func Proxied(from string, fields http.Header) http.Header {
	header := http.Header{
		"Host":              {SiteHost},
		"Accept-Encoding":   {"gzip"},
		"Via":               {"1.1 Caddy"},
		"X-Forwarded-For":   {from},
		"X-Forwarded-Host":  {SiteHost},
		"X-Forwarded-Proto": {"http"},
	}
	maps.Copy(header, fields)
	maps.DeleteFunc(header, func(_ string, values []string) bool { return values == nil })
	return header
}

// Proves is the whole header that front_proxy writes for the holder of a certificate.
func Proves(n *testpki.Pair, user string, groups ...string) http.Header {
	sum := sha256.Sum256(n.Cert.Raw)
	header := http.Header{
		"X-Remote-User": {user},
		"X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id": {"X509SHA256=" + hex.EncodeToString(sum[:])},
	}
	if len(groups) > 0 {
		header["X-Remote-Group"] = groups
	}
	return header
}

// Upgraded are the fields of a request that is forwarded as an upgrade.
func Upgraded(header http.Header, protocol string, more ...string) http.Header {
	return And(header, append([]string{"Connection", "Upgrade", "Upgrade", protocol}, more...)...)
}

// With is fields and more, in lines of their own.
func With(fields []string, more ...string) []string { return slices.Concat(fields, more) }

// Bearer is the line with a token.
func Bearer(token string) string { return "Authorization: Bearer " + token }

// BearerSubprotocol is the websocket subprotocol in which a browser sends a bearer token.
// Bearer is the line with a token.
func BearerSubprotocol(token string) string {
	return "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// The handshake of the example in RFC 6455, section 1.3.
const (
	WebSocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	WebSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)
