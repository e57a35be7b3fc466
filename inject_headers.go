// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func init() {
	caddy.RegisterModule(new(InjectHeaders))
}

// InjectHeaders is the injector for upstreams that read an identity from plain header
// fields. Only what is named is sent, and only where the identity has a value for it.
type InjectHeaders struct {
	Scope

	// User, UID, Email, Name and PreferredUsername are the fields for these.
	User              string `json:"user,omitempty"`
	UID               string `json:"uid,omitempty"`
	Email             string `json:"email,omitempty"`
	Name              string `json:"name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`

	// Token is the field for the user's own token, alone: the one that a source has
	// verified. For Authorization there is the injector token.
	Token string `json:"token,omitempty"`

	// Groups is the field for the groups: one line each, or one line with
	// GroupsSeparator between them. An identity with a group that contains the separator
	// is refused with 403: the upstream would read two groups.
	Groups          string `json:"groups,omitempty"`
	GroupsSeparator string `json:"groups_separator,omitempty"`

	// UserSyntax refuses, with 403, users whose name the upstream could not have: "openshift"
	// names that are no path segment ("/", "%", "." and ".."), that have a ":" or are "~". It
	// judges the preferred username too where that is sent: OpenShift names a new user by it.
	// Default: any name.
	UserSyntax string `json:"user_syntax,omitempty"`

	// Extra is the prefix of the fields for extra attributes; the key follows,
	// percent-encoded as client-go does.
	Extra string `json:"extra,omitempty"`

	headers impersonation.Headers
}

// CaddyModule returns the Caddy module information.
func (*InjectHeaders) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: injectorNamespace + ".headers", New: func() caddy.Module { return new(InjectHeaders) }}
}

// Provision puts the names of fields into canonical spelling: a field that is written
// in another stands beside the client's own in Go's map (CVE-2026-33433).
func (i *InjectHeaders) Provision(caddy.Context) error {
	i.headers = impersonation.Headers{
		User:              http.CanonicalHeaderKey(i.User),
		UID:               http.CanonicalHeaderKey(i.UID),
		Email:             http.CanonicalHeaderKey(i.Email),
		Name:              http.CanonicalHeaderKey(i.Name),
		PreferredUsername: http.CanonicalHeaderKey(i.PreferredUsername),
		Token:             http.CanonicalHeaderKey(i.Token),
		Groups:            http.CanonicalHeaderKey(i.Groups),
		Separator:         i.GroupsSeparator,
		Extra:             http.CanonicalHeaderKey(i.Extra),
	}
	return nil
}

// Validate refuses fields that are no place for a name, and one field for two things.
func (i *InjectHeaders) Validate() error {
	fields := i.headers.Writes()
	if len(fields) == 0 {
		return errors.New("inject headers: no field is named")
	}
	for n, field := range fields {
		check := checkFieldName
		if n == len(fields)-1 && i.Extra != "" {
			check = identity.CheckIdentityField // the prefix, as a pattern
		}
		if err := check(field); err != nil {
			return fmt.Errorf("inject headers: %w", err)
		}
		if again, found := identity.Overlap([]string{field}, slices.Delete(slices.Clone(fields), n, n+1)); found {
			return fmt.Errorf("inject headers: %s is written twice", again)
		}
	}
	if i.UserSyntax != "" {
		if err := checkUserSyntax(i.UserSyntax); err != nil {
			return fmt.Errorf("inject headers user_syntax: %w", err)
		}
	}
	if err := checkSeparator(i.GroupsSeparator); err != nil {
		return fmt.Errorf("inject headers groups: %w", err)
	}
	return nil
}

// Writes implements [identity.Injector].
func (i *InjectHeaders) Writes() []string { return i.headers.Writes() }

// Inject implements [identity.Injector].
func (i *InjectHeaders) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	if i.UserSyntax == "openshift" {
		if err := impersonation.CheckOpenShiftUser(id.Username); err != nil {
			return err
		}
		if i.PreferredUsername != "" && id.PreferredUsername != "" {
			if err := impersonation.CheckOpenShiftUser(id.PreferredUsername); err != nil {
				return err
			}
		}
	}
	return i.headers.Inject(ctx, id, header)
}

func checkUserSyntax(syntax string) error { return oneOf([]string{"openshift"})(syntax) }

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject headers {
//		user|uid|email|name|preferred_username|token <field>
//		groups  <field> [<separator>]
//		extra   <prefix>
//		user_syntax openshift
//		sources <name>...
//	}
func (i *InjectHeaders) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return block(d, map[string]func(*caddyfile.Dispenser) error{
		"user":               word(&i.User, checkFieldName),
		"uid":                word(&i.UID, checkFieldName),
		"email":              word(&i.Email, checkFieldName),
		"name":               word(&i.Name, checkFieldName),
		"preferred_username": word(&i.PreferredUsername, checkFieldName),
		"token":              word(&i.Token, checkFieldName),
		"groups": func(d *caddyfile.Dispenser) error {
			i.GroupsSeparator = "" // of the preset
			return oneAndSeparator(d, &i.Groups, &i.GroupsSeparator, checkFieldName)
		},
		"extra":       word(&i.Extra, checkExtraPrefix),
		"user_syntax": word(&i.UserSyntax, checkUserSyntax),
		"sources":     i.parseSources,
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*InjectHeaders)(nil)
	_ caddy.Validator       = (*InjectHeaders)(nil)
	_ caddyfile.Unmarshaler = (*InjectHeaders)(nil)
	_ Injector              = (*InjectHeaders)(nil)
)
