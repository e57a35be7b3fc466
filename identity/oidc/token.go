// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Algorithms are the signature algorithms that may be allowed: asymmetric ones only. With
// HS256 every verifier of a token can make one, and public keys have been used as the secret
// (CVE-2026-33322, and the alg confusion before it).
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}
}

// unverified is a token that has been read but not verified. Its content may be made up.
type unverified struct {
	raw     string
	header  Header
	payload []byte
	claims  Claims

	// fault is why the header makes it a bad token, if it does. Only a token of a configured
	// issuer is refused for it: another source decides about the tokens of others.
	fault error
}

// issuer returns the iss claim. It selects the issuer that verifies the token, and proves
// nothing.
func (t *unverified) issuer() string {
	issuer, _ := t.claims["iss"].(string)
	return issuer
}

// read reads a compact JWS (RFC 7515, section 3.1), which has exactly two dots. The error
// wraps [identity.ErrAbsent] when raw is not a JWT at all, and [identity.ErrRejected] when
// it is a JWT whose issuer cannot be read.
func read(raw string) (*unverified, error) {
	head, rest, _ := strings.Cut(raw, ".")
	payload, signature, found := strings.Cut(rest, ".")
	const object = "eyJ" // the beginning of a JSON object in base64url, if no blank follows the brace
	switch {
	case !found || !strings.HasPrefix(head, object):
		return nil, fmt.Errorf("%w: the token is not a JWT", identity.ErrAbsent)
	case strings.Count(signature, ".") == 2:
		return nil, fmt.Errorf("%w: the token is encrypted (JWE)", identity.ErrRejected)
	case strings.Contains(signature, "."):
		return nil, fmt.Errorf("%w: the token is not a JWT", identity.ErrAbsent)
	}
	header, fault := readHeader(head)
	if fault != nil {
		fault = fmt.Errorf("%w: reading the token's header: %w", identity.ErrRejected, fault)
	}
	decoded, err := decode(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the token's claims: %w", identity.ErrRejected, err)
	}
	if _, err := decode(signature); err != nil {
		return nil, fmt.Errorf("%w: reading the token's signature: %w", identity.ErrRejected, err)
	}
	claims, err := ParseClaims(decoded)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the token's claims: %w", identity.ErrRejected, err)
	}
	return &unverified{raw, header, decoded, claims, fault}, nil
}

// readHeader reads the needed members of the JOSE header, and refuses members that change
// the token's meaning: extensions that must be understood (crit), a payload that is signed
// in another form (b64, RFC 7797), a token in the token (cty), and an explicit type for
// another purpose, such as a logout (RFC 8725, section 3.11).
func readHeader(encoded string) (Header, error) {
	decoded, err := decode(encoded)
	if err != nil {
		return Header{}, err
	}
	members, err := ParseClaims(decoded)
	if err != nil {
		return Header{}, err
	}
	var values [4]string
	for i, name := range [...]string{"alg", "kid", "typ", "cty"} {
		value, there := members[name]
		text, ok := value.(string)
		if there && !ok {
			return Header{}, fmt.Errorf("its %s is not a string", name)
		}
		values[i] = text
	}
	for _, name := range [...]string{"crit", "b64"} {
		if _, there := members[name]; there {
			return Header{}, fmt.Errorf("it has an extension (%s)", name)
		}
	}
	algorithm, keyID, typ, content := values[0], values[1], values[2], values[3]
	switch {
	case !slices.Contains(Algorithms(), algorithm):
		return Header{}, fmt.Errorf("its algorithm %s is not an asymmetric signature algorithm", identity.Quote(algorithm))
	case content != "":
		return Header{}, fmt.Errorf("its content is %s and not claims", identity.Quote(content))
	case forSomethingElse(typ):
		return Header{}, fmt.Errorf("it is a %s, which is not a credential", identity.Quote(typ))
	}
	return Header{Algorithm: algorithm, KeyID: keyID}, nil
}

// forSomethingElse says whether the token has an explicit type other than an access token's
// (RFC 9068). Plain "JWT" and types that are not for JWTs tell nothing.
func forSomethingElse(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return strings.HasSuffix(typ, "+jwt") && typ != "at+jwt"
}

// decode is strict: with a lenient decoder one token could be written in several ways. Line
// ends are refused as well, which Go's strict decoder ignores.
func decode(segment string) ([]byte, error) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil || strings.Contains(segment, "\r") || strings.Contains(segment, "\n") {
		return nil, errors.New("it is not base64url")
	}
	return decoded, nil
}
