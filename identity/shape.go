// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

// Shape is the form of a request, which is checked before its sender.
type Shape struct {
	// Method is the method as the client sent it.
	Method string

	// Protocol is the :protocol of an extended CONNECT (RFC 8441, RFC 9220), otherwise "".
	Protocol string

	// Upgrade and Connection are the lines of the fields of these names.
	Upgrade, Connection []string

	// Early says that the TLS handshake is not finished (0-RTT).
	Early bool
}

// Check refuses the shapes that dashboards and API servers do not need, and returns the
// value of Upgrade if the request asks for one of the two upgrades that they need,
// websocket and SPDY/3.1.
//
// CONNECT would be forwarded with the injected credential. Any other upgrade would turn
// the connection to the upstream into a tunnel, through which a client can send requests
// that the handler never sees. But it is only an offer, which a server may ignore (RFC 9110,
// section 7.8), and curl --http2 and Java's client send one for h2c with each request. So
// it is dropped, and a list too, since the upstream would choose from it.
func (s Shape) Check() (upgrade string, err error) {
	switch {
	case s.Early:
		return "", fmt.Errorf("%w: the TLS handshake is not finished", ErrTooEarly)
	case s.Method == http.MethodTrace:
		return "", fmt.Errorf("%w: TRACE", ErrMethod)
	case s.Method == http.MethodConnect && s.Protocol != "websocket":
		return "", fmt.Errorf("%w: CONNECT", ErrMethod)
	case len(s.Upgrade) != 1:
		return "", nil
	}
	// ASCII only: under Unicode folding "webſocket" equals websocket.
	if !equalFoldASCII(s.Upgrade[0], "websocket") && !equalFoldASCII(s.Upgrade[0], "SPDY/3.1") {
		return "", nil
	}
	for _, line := range s.Connection {
		for token := range strings.SplitSeq(line, ",") {
			if equalFoldASCII(textproto.TrimString(token), "upgrade") {
				return s.Upgrade[0], nil
			}
		}
	}
	return "", nil // without Connection: Upgrade the field has no effect (RFC 9110, section 7.8)
}

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
