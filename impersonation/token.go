// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Token is the [identity.Injector] for the user's own token: the one that a source has
// verified. For an identity without a token, such as anonymous, it writes nothing.
type Token struct {
	// Field is the canonical name of the field. In Authorization "Bearer " precedes the
	// token, any other field has the token alone.
	Field string

	// Cookie is the name of a cookie that receives it too; empty for none.
	Cookie string
}

// Writes implements [identity.Injector].
func (t *Token) Writes() []string { return []string{t.Field} }

// Inject implements [identity.Injector].
func (t *Token) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	if id.Token.IsZero() {
		return nil
	}
	token := id.Token.Reveal()
	if !identity.IsBearerToken(token) {
		// a source of a third party: a value that is not a token could end the line
		return fmt.Errorf("%w: the token of the source is not a bearer token", identity.ErrInternal)
	}
	if t.Cookie != "" {
		if strings.ContainsAny(token, "\",;\\") {
			// RFC 6265, section 4.1.1: the upstream would read another cookie, or two
			return fmt.Errorf("%w: the token has a character that a cookie cannot hold", identity.ErrForbidden)
		}
		// after the client's own cookies, from which this name was stripped
		cookies := append(slices.Clone(header["Cookie"]), t.Cookie+"="+token)
		header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	if t.Field == "Authorization" {
		token = "Bearer " + token
	}
	header[t.Field] = []string{token}
	return nil
}
