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
	// Field is the canonical name of the field. In Authorization "Bearer " goes before the
	// token, in any other it stands alone.
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
		// a source of somebody else's: what is no token could end the line
		return fmt.Errorf("%w: the source's token is not one", identity.ErrInternal)
	}
	if t.Cookie != "" {
		// behind what the client has, of which this name was taken off
		cookies := append(slices.Clone(header["Cookie"]), t.Cookie+"="+token)
		header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	if t.Field == "Authorization" {
		token = "Bearer " + token
	}
	header[t.Field] = []string{token}
	return nil
}
