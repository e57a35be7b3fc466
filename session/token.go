// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import "strings"

// The ways in which a token is written.
const (
	tokenRaw = iota // as it is, such as an opaque refresh token
	tokenJWT        // the parts of a JWT, decoded: base64 hides the text's redundancy from deflate
)

// token writes a token. A JWT is decoded only if encoding it again gives the same text: its
// signature covers the text, not the meaning.
func (w *writer) token(token string) {
	parts, ok := splitJWT(token)
	if !ok {
		w.number(tokenRaw)
		w.text(token)
		return
	}
	w.number(tokenJWT)
	for _, part := range parts {
		w.bytes(part)
	}
}

// splitJWT decodes the three parts of a JWT.
func splitJWT(token string) (parts [3][]byte, ok bool) {
	rest := token
	for i := range parts {
		part, after, more := strings.Cut(rest, ".")
		decoded, ok := unbase64(part)
		if !ok || more == (i == len(parts)-1) {
			return parts, false
		}
		parts[i], rest = decoded, after
	}
	return parts, joinJWT(parts) == token
}

func joinJWT(parts [3][]byte) string {
	return base64url(parts[0]) + "." + base64url(parts[1]) + "." + base64url(parts[2])
}

func (r *reader) token() string {
	switch r.small(tokenJWT) {
	case tokenJWT:
		return joinJWT([3][]byte{r.bytes(), r.bytes(), r.bytes()})
	default:
		return r.text()
	}
}
