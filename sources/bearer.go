// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Bearer is what sources of bearer tokens have in common: the fields that hold a token, and
// how long it may be.
type Bearer struct {
	// TokenHeader are fields that hold a token and nothing else, such as X-Forwarded-Id-Token.
	// They are read in order, before "Authorization: Bearer" and the websocket subprotocol of the
	// API server; the first that is not empty counts. A token proves itself, so every peer may
	// send them. Default: none.
	TokenHeader []string `json:"token_header,omitempty"`

	// MaxTokenSize is how long a token may be, in bytes or with "KiB", at most 64KiB; in JSON
	// bytes alone. A longer one is refused with 400: the first source that reads it decides.
	// Raise max_header_size (global option "servers") with it. Default: 16KiB.
	MaxTokenSize int `json:"max_token_size,omitempty"`

	fields []string // canonical
}

func (b *Bearer) provisionBearer() {
	if b.MaxTokenSize == 0 {
		b.MaxTokenSize = identity.DefaultMaxToken
	}
	b.fields = nil
	for _, field := range b.TokenHeader {
		b.fields = append(b.fields, http.CanonicalHeaderKey(field))
	}
}

// Reads implements [identity.Source].
func (b *Bearer) Reads() identity.Fields {
	return identity.Fields{Names: append([]string{"Authorization"}, b.fields...), Credential: true}
}

// token finds the token of a request.
func (b *Bearer) token(r *identity.Request) (string, error) {
	for _, field := range b.fields {
		token, err := identity.RawToken(field, r.Stripped.Lines(field), b.MaxTokenSize)
		if !errors.Is(err, identity.ErrAbsent) {
			return token, err
		}
	}
	return identity.Bearer(r.Stripped.Lines("Authorization"), b.MaxTokenSize)
}

func (b *Bearer) parseTokenHeader(d *caddyfile.Dispenser) error {
	return option.List(&b.TokenHeader, option.Each(func(field string) error {
		err := option.CheckFieldName(field)
		if err != nil && strings.EqualFold(field, "Authorization") {
			return fmt.Errorf("%w: remove it, since a bearer token in Authorization is read without it", err)
		}
		return err
	}))(d)
}

func (b *Bearer) parseMaxTokenSize(d *caddyfile.Dispenser) error {
	return option.Size(&b.MaxTokenSize, identity.MaxToken)(d)
}

// validateBearer refuses fields that cannot hold a token alone, and a size out of range.
func (b *Bearer) validateBearer() error {
	if err := option.CheckSize(b.MaxTokenSize, identity.MaxToken); err != nil {
		return fmt.Errorf("max_token_size: %w", err)
	}
	for n, field := range b.TokenHeader {
		if err := option.CheckFieldName(field); err != nil {
			return fmt.Errorf("token_header: %w", err)
		}
		if _, found := identity.Overlap([]string{field}, b.TokenHeader[:n]); found {
			return fmt.Errorf("token_header: %s is there twice", field)
		}
	}
	return nil
}
