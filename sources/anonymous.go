// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

const (
	anonymousUser  = "system:anonymous"
	anonymousGroup = "system:unauthenticated"
)

func init() {
	caddy.RegisterModule(new(Anonymous))
}

// Anonymous is the source for requests without a credential: they are forwarded under a
// fixed name. It must be the last source. Its identity goes through the same injectors as
// any other: impersonation sends its user and groups, headers send the fields that are set.
type Anonymous struct {
	// User is the name under which requests without a credential are forwarded. Default:
	// system:anonymous.
	User string `json:"user,omitempty"`

	// Groups of the anonymous user. Default: system:unauthenticated, with which the API server
	// does not add system:authenticated.
	Groups []string `json:"groups,omitempty"`

	// OnFailure makes a request anonymous also when it presents a credential that is bad
	// (malformed or rejected), as Kong's anonymous consumer does. One that is proven but
	// forbidden, or that could not be checked, is refused all the same. Default: a bad credential
	// is refused with 400 or 401.
	OnFailure bool `json:"on_failure,omitempty"`

	identity *identity.Identity
}

// CaddyModule returns the Caddy module information.
func (*Anonymous) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".anonymous", New: func() caddy.Module { return new(Anonymous) }}
}

// Provision sets the defaults.
func (a *Anonymous) Provision(caddy.Context) error {
	if err := guest.Expand(a); err != nil {
		return fmt.Errorf("anonymous: %w", err)
	}
	if a.User == "" {
		a.User = anonymousUser
	}
	if len(a.Groups) == 0 {
		a.Groups = []string{anonymousGroup}
	}
	a.identity = &identity.Identity{
		User:          identity.User{Username: a.User, Groups: a.Groups},
		AllowReserved: []string{anonymousUser, anonymousGroup},
		Memo:          new(identity.Memo),
	}
	return nil
}

// Validate refuses groups without a name.
func (a *Anonymous) Validate() error {
	if err := option.Each(option.NotEmpty)(a.Groups); err != nil {
		return fmt.Errorf("anonymous groups: %w", err)
	}
	return nil
}

// Reads implements [identity.Source]: nothing.
func (*Anonymous) Reads() identity.Fields { return identity.Fields{} }

// AfterFailure implements [identity.Fallback].
func (a *Anonymous) AfterFailure() bool { return a.OnFailure }

// Authenticate implements [identity.Source]: every client is the same user.
func (a *Anonymous) Authenticate(context.Context, *identity.Request) (*identity.Identity, error) {
	return a.identity, nil
}

// Always implements [identity.Constant].
func (a *Anonymous) Always() *identity.User { return &a.identity.User }

// CheckReserved refuses a reserved name that the handler would refuse in each request: it is
// neither the source's default nor among those that allow_reserved has.
func (a *Anonymous) CheckReserved(allowed []string) error {
	allowed = slices.Concat([]string{anonymousUser, anonymousGroup}, allowed)
	if slices.ContainsFunc(allowed, option.HasPlaceholder) {
		return nil // not expanded yet
	}
	for _, name := range append([]string{a.User}, a.Groups...) {
		if identity.IsReserved(name) && !slices.Contains(allowed, name) {
			return fmt.Errorf("anonymous: %q is a reserved name, so that each request would be refused: "+
				"write a name of your own, such as guest", name)
		}
	}
	return nil
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	anonymous [<user>] {
//		groups <group>...
//		on_failure
//	}
func (a *Anonymous) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		a.User = d.Val()
		if a.User == "" {
			return d.Err("parsing anonymous: the value is empty")
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{
		"groups":     option.List(&a.Groups, option.Each(option.NotEmpty)),
		"on_failure": option.Flag(&a.OnFailure),
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Anonymous)(nil)
	_ caddy.Validator       = (*Anonymous)(nil)
	_ caddyfile.Unmarshaler = (*Anonymous)(nil)
	_ identity.Fallback     = (*Anonymous)(nil)
	_ identity.Constant     = (*Anonymous)(nil)
)
