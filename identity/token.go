// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"strings"
)

const (
	// DefaultMaxToken is how long a bearer token may be by default, in bytes. Tokens with
	// hundreds of groups are about as long. A longer one is refused before it is parsed.
	DefaultMaxToken = 16 << 10

	// MaxToken is how long tokens can be allowed to be, in bytes.
	MaxToken = 64 << 10
)

// Token is a bearer token that a source has verified. Neither fmt nor a JSON encoder
// prints it, so it cannot appear in the log by accident.
type Token struct {
	// A pointer, since fmt calls no method for a value in an unexported field of another
	// struct, nor for a verb such as %d, and would print a string.
	raw *string
}

// NewToken wraps a token that a source has verified.
func NewToken(raw string) Token { return Token{&raw} }

// Reveal returns the token itself, for the header field into which it is written.
func (t Token) Reveal() string {
	if t.raw == nil {
		return ""
	}
	return *t.raw
}

// IsZero says whether there is no token.
func (t Token) IsZero() bool { return t.Reveal() == "" }

// String implements fmt.Stringer.
func (t Token) String() string { return "[token]" }

// GoString implements fmt.GoStringer.
func (t Token) GoString() string { return "[token]" }

// MarshalText implements encoding.TextMarshaler.
func (t Token) MarshalText() ([]byte, error) { return []byte("[token]"), nil }

// Bearer reads the bearer token from the lines of an Authorization field: a word of at most
// limit bytes ([IsBearerToken]). The error wraps [ErrAbsent] if there is no line, or one with
// another scheme. It wraps [ErrMalformed] if there are two lines, which two readers may
// understand in two ways, or if "Bearer" is not followed by exactly one blank and one token:
// the API server takes "Bearer  x" for an anonymous request and ignores a third word
// (k8s.io/apiserver, pkg/authentication/request/bearertoken).
func Bearer(lines []string, limit int) (string, error) {
	const scheme = "bearer"
	switch len(lines) {
	case 0:
		return "", ErrAbsent
	case 1:
	default:
		return "", fmt.Errorf("%w: %d lines of Authorization", ErrMalformed, len(lines))
	}
	line := lines[0]
	if len(line) < len(scheme) || !equalFoldASCII(line[:len(scheme)], scheme) {
		return "", ErrAbsent
	}
	rest := line[len(scheme):]
	switch {
	case rest == "":
		return "", fmt.Errorf("%w: there is no token after Bearer", ErrMalformed)
	case rest[0] != ' ' && IsToken(rest[0]):
		return "", ErrAbsent // the scheme is a longer word
	case rest[0] != ' ':
		return "", fmt.Errorf("%w: Bearer is not followed by one blank", ErrMalformed)
	}
	if err := checkToken("", rest[1:], limit); err != nil {
		return "", err
	}
	return rest[1:], nil
}

// RawToken reads a token from the lines of a field that contains nothing else, such as
// X-Forwarded-Id-Token. Proxies send a line that says nothing ([IsNothing]) if there is no
// token.
func RawToken(field string, lines []string, limit int) (string, error) {
	switch {
	case len(lines) == 0 || len(lines) == 1 && IsNothing(lines[0]):
		return "", ErrAbsent
	case len(lines) > 1:
		return "", fmt.Errorf("%w: %d lines of %s", ErrMalformed, len(lines), field)
	}
	if err := checkToken(field, lines[0], limit); err != nil {
		return "", err
	}
	return lines[0], nil
}

// checkToken refuses anything but one word of at most limit bytes. Its error shows no part of
// the value, but the field that has it: an empty one is for Authorization.
func checkToken(field, token string, limit int) error {
	if len(token) > limit {
		return fmt.Errorf("%w: the bearer token has %d bytes, more than %d", ErrMalformed, len(token), limit)
	}
	switch {
	case IsBearerToken(token):
		return nil
	case field == "":
		return fmt.Errorf("%w: the value after Bearer is not a token", ErrMalformed)
	default:
		return fmt.Errorf("%w: the value of %s is not a token", ErrMalformed, field)
	}
}

// IsBearerToken says whether s is one word of visible ASCII, as the API server reads a token
// (k8s.io/apiserver, pkg/authentication/request/bearertoken). That is more than RFC 6750,
// section 2.1, has: Rancher's tokens contain a colon. What a word means is for the source to
// decide that verifies it.
func IsBearerToken(s string) bool { return s != "" && isPlain(s) }

// LeaksToken says whether text contains a token, or twelve characters in a row of it. Another
// server's message about a token is logged only if it does not.
func LeaksToken(text, token string) bool {
	const piece = 12
	if token != "" && strings.Contains(text, token) {
		return true
	}
	for i := 0; i+piece <= len(text); i++ {
		if strings.Contains(token, text[i:i+piece]) {
			return true
		}
	}
	return false
}
