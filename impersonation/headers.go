// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Headers is the [identity.Injector] for upstreams that read an identity from plain
// header fields. A field without a name here, or without a value in the identity, is not
// sent. Names are canonical.
type Headers struct {
	User, UID, Email, Name, PreferredUsername string

	// Token receives the user's own token, without "Bearer".
	Token string

	// Groups: one line a group, or one line with Separator between groups. A group that
	// contains the separator is refused, since the upstream would read two.
	Groups, Separator string

	// UserSyntax and GroupsSyntax refuse what the upstream would read as another name. A
	// display name is left out instead, since it authorizes nothing.
	UserSyntax, GroupsSyntax Syntax

	// Extra is the prefix of the fields for all extra attributes.
	Extra string
}

// FrontProxy returns the fields in which kube-apiserver (--requestheader-*) and its
// aggregated API servers read an identity from a proxy that they know by its client
// certificate. The API server does not authorize these claims, so all of the identity is
// sent.
func FrontProxy() *Headers {
	return &Headers{
		User:   "X-Remote-User",
		Groups: "X-Remote-Group",
		UID:    "X-Remote-Uid",
		Extra:  "X-Remote-Extra-",
	}
}

// Writes implements [identity.Injector].
func (h *Headers) Writes() []string {
	names := []string{h.User, h.UID, h.Email, h.Name, h.PreferredUsername, h.Token, h.Groups}
	if h.Extra != "" {
		names = append(names, h.Extra+"*")
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// Inject implements [identity.Injector].
func (h *Headers) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	names, token := h.KeepLines()
	written := make(http.Header)
	if err := names.Inject(ctx, id, written); err != nil {
		return err
	}
	if token != nil {
		if err := token.Inject(ctx, id, written); err != nil {
			return err
		}
	}
	maps.Copy(header, written)
	return nil
}

// KeepLines splits the injector: all lines but that of the user's own token are always the
// same for an identity.
func (h *Headers) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	if h.Token == "" {
		return (*names)(h), nil
	}
	return (*names)(h), &Token{Field: h.Token}
}

// names writes everything but the token.
type names Headers

// Writes implements [identity.Injector].
func (n *names) Writes() []string {
	h := Headers(*n)
	h.Token = ""
	return h.Writes()
}

// Inject implements [identity.Injector].
func (n *names) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	h := (*Headers)(n)
	if id.Username == "" {
		// groups without a user: an API server would read them as the proxy's own
		return errNoUser()
	}
	if err := h.checkUser(id); err != nil {
		return err
	}
	groups, err := h.groups(id.Groups)
	if err != nil {
		return err
	}
	name := id.Name
	if !h.UserSyntax.isRead(name) {
		name = ""
	}
	for _, field := range [...]struct{ name, value string }{
		{h.User, id.Username},
		{h.UID, id.UID},
		{h.Email, id.Email},
		{h.Name, name},
		{h.PreferredUsername, id.PreferredUsername},
	} {
		if field.name != "" && field.value != "" {
			header[field.name] = []string{field.value}
		}
	}
	if len(groups) > 0 {
		header[h.Groups] = groups
	}
	if h.Extra != "" {
		for key, values := range id.Extra {
			if len(values) > 0 {
				header[extraField(h.Extra, key)] = slices.Clone(values)
			}
		}
	}
	return nil
}

// checkUser refuses a user with a value that is sent, and that the upstream would read as
// another.
func (h *Headers) checkUser(id *identity.Identity) error {
	if err := h.UserSyntax.checkUser(id.Username); err != nil {
		return err
	}
	if h.PreferredUsername != "" && id.PreferredUsername != "" {
		if err := h.UserSyntax.checkUser(id.PreferredUsername); err != nil {
			return err
		}
	}
	for _, field := range [...]struct{ what, name, value string }{{"uid", h.UID, id.UID}, {"email", h.Email, id.Email}} {
		if field.name != "" && !h.UserSyntax.isRead(field.value) {
			return fmt.Errorf("%w: the %s has a character that the upstream would read as another", identity.ErrForbidden, field.what)
		}
	}
	return nil
}

// groups returns the lines for the field Groups.
func (h *Headers) groups(groups []string) ([]string, error) {
	if h.Groups == "" || len(groups) == 0 {
		return nil, nil
	}
	for _, group := range groups {
		if h.Separator != "" && strings.Contains(group, h.Separator) {
			return nil, fmt.Errorf("%w: group %s contains the separator %q",
				identity.ErrForbidden, identity.Quote(group), h.Separator)
		}
		if err := h.GroupsSyntax.checkGroup(group); err != nil {
			return nil, err
		}
	}
	if h.Separator == "" {
		return slices.Clone(groups), nil
	}
	return []string{strings.Join(groups, h.Separator)}, nil
}
