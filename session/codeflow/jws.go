// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// segments are a compact JWS (RFC 7515, section 3.1) that has been read. They are read again
// here, and not taken from package oidc, since at_hash needs the header; by the same reader and
// as strictly, so that both see the same claims or one of them refuses the token.
type segments struct {
	header  map[string]any
	payload []byte
	claims  oidc.Claims
}

// readJWS shows no part of the token in an error.
func readJWS(raw string) (*segments, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxToken || len(parts) != 3 {
		return nil, errors.New("it is not a signed JWT")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, errors.New("it is not base64url")
		}
	}
	header, err := oidc.ParseClaims(decoded[0])
	if err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	claims, err := oidc.ParseClaims(decoded[1])
	if err != nil {
		return nil, fmt.Errorf("its claims: %w", err)
	}
	return &segments{header, decoded[1], claims}, nil
}

// text returns a claim that is a string, empty if it is missing or null.
func (s *segments) text(name string) (string, error) {
	value := s.claims[name]
	text, ok := value.(string)
	if !ok && value != nil {
		return "", fmt.Errorf("its %s is not a string", name)
	}
	return text, nil
}

// list returns a claim that is a string or a list of strings.
func (s *segments) list(name string) ([]string, error) {
	switch value := s.claims[name].(type) {
	case string:
		return []string{value}, nil
	case []any:
		list := make([]string, 0, len(value))
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, fmt.Errorf("its %s is not a list of strings", name)
			}
			list = append(list, text)
		}
		return list, nil
	}
	return nil, fmt.Errorf("its %s is neither a string nor a list of strings", name)
}
