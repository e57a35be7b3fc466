// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(Headers))
}

// Headers is the injector for upstreams that read an identity from plain header fields. A
// field is sent only if it is named here and the identity has a value for it.
type Headers struct {
	Scope

	// User is the field for the name of the user. Default: not sent.
	User string `json:"user,omitempty"`

	// UID is the field for the identifier. Default: not sent.
	UID string `json:"uid,omitempty"`

	// Email is the field for the mail address. Default: not sent.
	Email string `json:"email,omitempty"`

	// Name is the field for the name for display. Default: not sent.
	Name string `json:"name,omitempty"`

	// PreferredUsername is the field for the name that the user prefers. Default: not sent.
	PreferredUsername string `json:"preferred_username,omitempty"`

	// Token is the field for the user's own token, alone: the one that a source has verified. It
	// is refused beside "inject impersonation" for one source, and for Authorization there is
	// "inject token". Default: not sent.
	Token string `json:"token,omitempty"`

	// Groups is the field for the groups. Default: not sent.
	Groups string `json:"groups,omitempty"`

	// GroupsSeparator is between the groups in one line: one character that is neither letter nor
	// digit. An identity with a group that contains it is refused with 403: the upstream would
	// read two groups. Default: one line each.
	GroupsSeparator string `json:"groups_separator,omitempty"`

	// UserSyntax refuses, with 403, users whom the upstream cannot have or would take for others.
	// "openshift" refuses names that are not a path segment ("/", "%", "." and ".."), names with
	// a ":" and "~". "grafana" refuses names that have a mail address in them and more besides.
	// "ascii" refuses characters outside ASCII, for upstreams that read fields as ISO 8859-1
	// (Jetty, Netty, WSGI), and "opensearch" also "|". If the preferred username is sent, the
	// same holds for it: OpenShift names a new user by it. For uid and email "ascii" and
	// "opensearch" hold too; a display name is not sent. Default: any name.
	UserSyntax impersonation.Syntax `json:"user_syntax,omitempty"`

	// GroupsSyntax refuses, with 403, groups that the upstream would read as others. "grafana"
	// refuses blanks, commas, double quotes and a leading "[". "mimir" refuses what cannot be a
	// tenant: more than 150 bytes, or other characters than letters, digits and "!-_.*'()".
	// "ascii" and "opensearch" are as for UserSyntax. Default: any name.
	GroupsSyntax impersonation.Syntax `json:"groups_syntax,omitempty"`

	// Extra is the prefix of the fields for extra attributes; the key follows, percent-encoded as
	// client-go does. Default: not sent.
	Extra string `json:"extra,omitempty"`

	headers impersonation.Headers
}

// CaddyModule returns the Caddy module information.
func (*Headers) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Injectors + ".headers", New: func() caddy.Module { return new(Headers) }}
}

// Provision puts the names of fields into canonical spelling: in another spelling the field
// would not replace the client's own in Go's map (CVE-2026-33433).
func (i *Headers) Provision(caddy.Context) error {
	if err := guest.Expand(i); err != nil {
		return fmt.Errorf("inject headers: %w", err)
	}
	i.compile()
	return nil
}

func (i *Headers) compile() {
	i.headers = impersonation.Headers{
		User:              http.CanonicalHeaderKey(i.User),
		UID:               http.CanonicalHeaderKey(i.UID),
		Email:             http.CanonicalHeaderKey(i.Email),
		Name:              http.CanonicalHeaderKey(i.Name),
		PreferredUsername: http.CanonicalHeaderKey(i.PreferredUsername),
		Token:             http.CanonicalHeaderKey(i.Token),
		Groups:            http.CanonicalHeaderKey(i.Groups),
		Separator:         i.GroupsSeparator,
		UserSyntax:        i.UserSyntax,
		GroupsSyntax:      i.GroupsSyntax,
		Extra:             http.CanonicalHeaderKey(i.Extra),
	}
}

// Validate refuses fields that cannot hold an identity, and one field for two things.
func (i *Headers) Validate() error {
	if err := i.CheckWhole(); err != nil {
		return err
	}
	fields := i.headers.Writes()
	for n, field := range fields {
		check := option.CheckFieldName
		if n == len(fields)-1 && i.Extra != "" {
			check = identity.CheckIdentityField // the prefix, as a pattern
		}
		if err := check(field); err != nil {
			return fmt.Errorf("inject headers: %w", err)
		}
	}
	if i.UserSyntax != "" {
		if err := checkUserSyntax(string(i.UserSyntax)); err != nil {
			return fmt.Errorf("inject headers user_syntax: %w", err)
		}
	}
	if i.GroupsSyntax != "" {
		if err := checkGroupsSyntax(string(i.GroupsSyntax)); err != nil {
			return fmt.Errorf("inject headers groups_syntax: %w", err)
		}
	}
	if err := option.CheckSeparator(i.GroupsSeparator); err != nil {
		return fmt.Errorf("inject headers groups: %w", err)
	}
	return nil
}

// Writes implements [identity.Injector].
func (i *Headers) Writes() []string { return i.headers.Writes() }

// SendsToken says whether the user's own token is sent, and whether it is all.
func (i *Headers) SendsToken() (sends, alone bool) {
	return i.Token != "", i.Token != "" && len(i.Writes()) == 1
}

// TokenFields returns the field that has the user's own token, if one has it.
func (i *Headers) TokenFields() []string {
	if i.Token == "" {
		return nil
	}
	return []string{i.headers.Token}
}

// Inject implements [identity.Injector].
func (i *Headers) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	return i.headers.Inject(ctx, id, header)
}

// KeepLines says that all lines may be kept but that of the token.
func (i *Headers) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	return i.headers.KeepLines()
}

func checkUserSyntax(syntax string) error { return option.OneOf(impersonation.UserSyntaxes())(syntax) }

func checkGroupsSyntax(syntax string) error {
	return option.OneOf(impersonation.GroupsSyntaxes())(syntax)
}

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject headers {
//		user|uid|email|name|preferred_username|token <field>
//		groups  <field> [<separator>]
//		extra   <prefix>
//		user_syntax   ascii|grafana|opensearch|openshift
//		groups_syntax ascii|grafana|mimir|opensearch
//		sources <name>...
//	}
func (i *Headers) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{
		"user":               option.Word(&i.User, option.CheckFieldName),
		"uid":                option.Word(&i.UID, option.CheckFieldName),
		"email":              option.Word(&i.Email, option.CheckFieldName),
		"name":               option.Word(&i.Name, option.CheckFieldName),
		"preferred_username": option.Word(&i.PreferredUsername, option.CheckFieldName),
		"token":              option.Word(&i.Token, option.CheckFieldName),
		"groups": func(d *caddyfile.Dispenser) error {
			i.GroupsSeparator = "" // of the preset
			return option.OneAndSeparator(d, &i.Groups, &i.GroupsSeparator, option.Unexpanded(option.CheckFieldName))
		},
		"extra":         option.Word(&i.Extra, option.CheckExtraPrefix),
		"user_syntax":   option.Word((*string)(&i.UserSyntax), checkUserSyntax),
		"groups_syntax": option.Word((*string)(&i.GroupsSyntax), checkGroupsSyntax),
		"sources":       i.ParseSources,
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Headers)(nil)
	_ caddy.Validator       = (*Headers)(nil)
	_ caddyfile.Unmarshaler = (*Headers)(nil)
	_ identity.Injector     = (*Headers)(nil)
)
