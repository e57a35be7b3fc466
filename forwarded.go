// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func init() {
	caddy.RegisterModule(new(Forwarded))
}

// Forwarded is the source for an identity that a trusted proxy wrote into header
// fields. Each option is a list of fields, in order: the first with a value wins. Names
// are compared without regard to case; no variant spelling is believed. A field with a
// single value that comes in more than one line is refused with 400.
//
// From a peer that is not trusted the fields are dropped, and the source finds nothing.
type Forwarded struct {
	identity.Forwarded `json:"-"`

	// User is where the name of the user is. Required. A request without it has no
	// credential for this source, whatever else it has.
	User []string `json:"user,omitempty"`

	// Groups is where the groups are: one a line.
	Groups []string `json:"groups,omitempty"`

	// GroupsSeparator splits each line of Groups: one character that is neither letter
	// nor digit. Empty elements are dropped. Default: a line is a group.
	GroupsSeparator string `json:"groups_separator,omitempty"`

	// UID, Email, Name (for display) and PreferredUsername are where these are.
	UID               []string `json:"uid,omitempty"`
	Email             []string `json:"email,omitempty"`
	Name              []string `json:"name,omitempty"`
	PreferredUsername []string `json:"preferred_username,omitempty"`

	// Extra are prefixes of fields. The rest of a name, lower-cased and percent-decoded,
	// is the key; two fields with the same key are refused with 400.
	Extra []string `json:"extra,omitempty"`

	// UserPrefix and GroupPrefix go before every user and group of this source, so that
	// another source's cannot have the same name.
	UserPrefix  string `json:"user_prefix,omitempty"`
	GroupPrefix string `json:"group_prefix,omitempty"`
}

// forwardedPresets are the fields that well-known proxies send, as their documentation
// has them. A preset is sugar of the Caddyfile: it expands into the explicit options.
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
	return caddy.ModuleInfo{ID: sourceNamespace + ".forwarded", New: func() caddy.Module { return new(Forwarded) }}
}

// Provision puts the names of fields into the spelling in which they arrive.
func (f *Forwarded) Provision(caddy.Context) error {
	f.Forwarded = identity.Forwarded{
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
	return nil
}

func canonical(fields []string) []string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = http.CanonicalHeaderKey(field)
	}
	return names
}

// Validate refuses names that no field has or that are no place for a name.
func (f *Forwarded) Validate() error {
	if len(f.User) == 0 {
		return errors.New("forwarded: there is no user, so nobody could be found")
	}
	fields := slices.Concat(f.User, f.Groups, f.UID, f.Email, f.Name, f.PreferredUsername)
	if err := each(checkFieldName)(fields); err != nil {
		return fmt.Errorf("forwarded: %w", err)
	}
	if err := each(checkExtraPrefix)(f.Extra); err != nil {
		return fmt.Errorf("forwarded extra: %w", err)
	}
	if err := checkSeparator(f.GroupsSeparator); err != nil {
		return fmt.Errorf("forwarded groups: %w", err)
	}
	if err := each(checkPrefix)([]string{f.UserPrefix, f.GroupPrefix}); err != nil {
		return fmt.Errorf("forwarded: %w", err)
	}
	return nil
}

// checkFieldName refuses what is not the whole name of a field that may hold a name.
func checkFieldName(field string) error {
	if strings.HasSuffix(field, "*") {
		return fmt.Errorf("header field %q: a name is wanted here, not a pattern", field)
	}
	return identity.CheckIdentityField(field)
}

// checkExtraPrefix refuses what is not the beginning of names that may hold values.
func checkExtraPrefix(prefix string) error {
	if strings.HasSuffix(prefix, "*") {
		return fmt.Errorf("header field %q: the beginning of a name is wanted here, without a pattern", prefix)
	}
	return identity.CheckIdentityField(prefix + "*")
}

// checkPrefix refuses a prefix with which no identity could pass the check of names.
func checkPrefix(prefix string) error {
	if identity.IsReserved(prefix) {
		return fmt.Errorf("prefix %q makes every name a reserved one", prefix)
	}
	return nil
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
// Presets: oauth2_proxy, auth_request, openshift, kube_front_proxy, headlamp, authelia,
// authentik. An option in the block replaces what the preset has for it.
func (f *Forwarded) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		presets := forwardedPresets()
		preset, ok := presets[d.Val()]
		if !ok {
			return d.Errf("unrecognized preset '%s': there are %s",
				d.Val(), strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
		}
		*f = preset
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	fields := each(checkFieldName)
	return block(d, map[string]func(*caddyfile.Dispenser) error{
		"user": list(&f.User, fields),
		"groups": func(d *caddyfile.Dispenser) error {
			f.GroupsSeparator = "" // of the preset
			return listAndSeparator(&f.Groups, &f.GroupsSeparator, fields)(d)
		},
		"uid":                list(&f.UID, fields),
		"email":              list(&f.Email, fields),
		"name":               list(&f.Name, fields),
		"preferred_username": list(&f.PreferredUsername, fields),
		"extra":              list(&f.Extra, each(checkExtraPrefix)),
		"user_prefix":        word(&f.UserPrefix, checkPrefix),
		"group_prefix":       word(&f.GroupPrefix, checkPrefix),
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Forwarded)(nil)
	_ caddy.Validator       = (*Forwarded)(nil)
	_ caddyfile.Unmarshaler = (*Forwarded)(nil)
	_ identity.Source       = (*Forwarded)(nil)
)
