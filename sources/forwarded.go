// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(Forwarded))
}

// Forwarded is the source for an identity that a trusted proxy wrote into header
// fields. Each option is a list of fields, in order: the first with a value wins. Names
// are compared without regard to case; no other spelling is believed. A field with a
// single value that comes in more than one line is refused with 400.
//
// If the peer is not trusted, the fields are dropped and the source finds no credential.
type Forwarded struct {
	// User are the fields with the name of the user. A request without a value there has no
	// credential for this source, whatever else it has. Required.
	User []string `json:"user,omitempty"`

	// Groups are the fields with the groups, one a line. The groups system:authenticated and
	// system:authenticated:oauth are left out, as with token_review. Default: no groups.
	Groups []string `json:"groups,omitempty"`

	// GroupsSeparator splits each line of Groups: one character that is neither letter nor digit.
	// Empty elements are ignored. Default: a line is one group.
	GroupsSeparator string `json:"groups_separator,omitempty"`

	// UID are the fields with an identifier that is never given to another user. Default: none.
	UID []string `json:"uid,omitempty"`

	// Email are the fields with the user's mail address. Default: none.
	Email []string `json:"email,omitempty"`

	// Name are the fields with a name for display. Default: none.
	Name []string `json:"name,omitempty"`

	// PreferredUsername are the fields with the name that the user prefers. Default: none.
	PreferredUsername []string `json:"preferred_username,omitempty"`

	// Extra are prefixes of fields. The rest of a name, lower-cased and percent-decoded, is the
	// key; two fields with the same key are refused with 400. A key in a domain of Kubernetes is
	// a reserved name. Default: none.
	Extra []string `json:"extra,omitempty"`

	// UserPrefix and GroupPrefix are put before every user and group of this source, so that
	// users and groups of another source cannot have the same names. Default: none.
	UserPrefix  string `json:"user_prefix,omitempty"`
	GroupPrefix string `json:"group_prefix,omitempty"`

	source identity.Forwarded // with the names of fields in canonical spelling
	kept   *kept
}

// forwardedPresets are the fields that well-known proxies send, as their documentation
// has them. A preset exists only in the Caddyfile: it expands into the explicit options.
func forwardedPresets() map[string]Forwarded {
	return map[string]Forwarded{
		"oauth2_proxy": {
			User: []string{"X-Forwarded-User"}, Groups: []string{"X-Forwarded-Groups"}, GroupsSeparator: ",",
			Email: []string{"X-Forwarded-Email"}, PreferredUsername: []string{"X-Forwarded-Preferred-Username"},
		},
		"auth_request": {
			User: []string{"X-Auth-Request-User"}, Groups: []string{"X-Auth-Request-Groups"}, GroupsSeparator: ",",
			Email: []string{"X-Auth-Request-Email"}, PreferredUsername: []string{"X-Auth-Request-Preferred-Username"},
		},
		"openshift": {
			User: []string{"X-Remote-User"}, Email: []string{"X-Remote-User-Email"},
			Name: []string{"X-Remote-User-Display-Name"}, PreferredUsername: []string{"X-Remote-User-Login"},
		},
		"kube_front_proxy": {
			User: []string{"X-Remote-User"}, Groups: []string{"X-Remote-Group"}, UID: []string{"X-Remote-Uid"},
			Extra: []string{"X-Remote-Extra-"},
		},
		"headlamp": {
			User: []string{"X-Forwarded-User"}, Groups: []string{"X-Forwarded-Group"}, GroupsSeparator: ",",
			Email: []string{"X-Forwarded-Email"},
		},
		"authelia": {
			User: []string{"Remote-User"}, Groups: []string{"Remote-Groups"}, GroupsSeparator: ",",
			Email: []string{"Remote-Email"}, Name: []string{"Remote-Name"},
		},
		"authentik": {
			User: []string{"X-Authentik-Username"}, Groups: []string{"X-Authentik-Groups"}, GroupsSeparator: "|",
			UID: []string{"X-Authentik-Uid"}, Email: []string{"X-Authentik-Email"}, Name: []string{"X-Authentik-Name"},
		},
	}
}

// CaddyModule returns the Caddy module information.
func (*Forwarded) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".forwarded", New: func() caddy.Module { return new(Forwarded) }}
}

// Provision puts the names of fields into the spelling in which they arrive.
func (f *Forwarded) Provision(caddy.Context) error {
	if err := guest.Expand(f); err != nil {
		return fmt.Errorf("forwarded: %w", err)
	}
	f.source = identity.Forwarded{
		User:              canonical(f.User),
		Groups:            canonical(f.Groups),
		UID:               canonical(f.UID),
		Email:             canonical(f.Email),
		Name:              canonical(f.Name),
		PreferredUsername: canonical(f.PreferredUsername),
		Separator:         f.GroupsSeparator,
		Extra:             canonical(f.Extra),
		UserPrefix:        f.UserPrefix,
		GroupPrefix:       f.GroupPrefix,
	}
	f.kept = newKept()
	return nil
}

func canonical(fields []string) []string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = http.CanonicalHeaderKey(field)
	}
	return names
}

// Validate refuses names that no field can have, and a set of fields that cannot be an
// identity.
func (f *Forwarded) Validate() error {
	if err := f.CheckWhole(); err != nil {
		return err
	}
	fields := slices.Concat(f.User, f.Groups, f.UID, f.Email, f.Name, f.PreferredUsername)
	if err := option.Each(option.CheckFieldName)(fields); err != nil {
		return fmt.Errorf("forwarded: %w", err)
	}
	if err := option.Each(option.CheckExtraPrefix)(f.Extra); err != nil {
		return fmt.Errorf("forwarded extra: %w", err)
	}
	if err := option.CheckSeparator(f.GroupsSeparator); err != nil {
		return fmt.Errorf("forwarded groups: %w", err)
	}
	if err := option.Each(option.CheckPrefix)([]string{f.UserPrefix, f.GroupPrefix}); err != nil {
		return fmt.Errorf("forwarded: %w", err)
	}
	return nil
}

// Reads implements [identity.Source].
func (f *Forwarded) Reads() identity.Fields { return f.source.Reads() }

// Authenticate implements [identity.Source].
func (f *Forwarded) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	var room [512]byte
	texts, found := f.source.AppendRead(room[:0], r.Stripped)
	if !found {
		return nil, identity.ErrAbsent
	}
	return f.kept.get(texts, func() (*identity.Identity, error) { return f.source.Authenticate(ctx, r) })
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	forwarded [<preset>] {
//		user               <field>...
//		groups             <field>... [<separator>]
//		uid                <field>...
//		email              <field>...
//		name               <field>...
//		preferred_username <field>...
//		extra              <prefix>...
//		user_prefix        <prefix>
//		group_prefix       <prefix>
//	}
//
// The presets are those of the table in the manual. An option in the block replaces the
// preset's value.
func (f *Forwarded) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		preset, ok := forwardedPresets()[d.Val()]
		if !ok {
			return option.UnknownPreset(d, "forwarded", forwardedPresets())
		}
		*f = preset
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	fields := option.Each(option.CheckFieldName)
	return option.Block(d, option.Options{
		"user": option.List(&f.User, fields),
		"groups": func(d *caddyfile.Dispenser) error {
			f.GroupsSeparator = "" // of the preset
			return option.ListAndSeparator(&f.Groups, &f.GroupsSeparator, fields)(d)
		},
		"uid":                option.List(&f.UID, fields),
		"email":              option.List(&f.Email, fields),
		"name":               option.List(&f.Name, fields),
		"preferred_username": option.List(&f.PreferredUsername, fields),
		"extra":              option.List(&f.Extra, option.Each(option.CheckExtraPrefix)),
		"user_prefix":        option.Word(&f.UserPrefix, option.CheckPrefix),
		"group_prefix":       option.Word(&f.GroupPrefix, option.CheckPrefix),
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Forwarded)(nil)
	_ caddy.Validator       = (*Forwarded)(nil)
	_ caddyfile.Unmarshaler = (*Forwarded)(nil)
	_ identity.Source       = (*Forwarded)(nil)
)
