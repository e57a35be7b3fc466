// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Scope is the option that every injector has. It implements ForSources of the handler's
// interface Injector.
type Scope struct {
	// Sources are the names of the sources whose identities this injector writes. A name that no
	// source of the block has is refused. Default: all.
	Sources []string `json:"sources,omitempty"`
}

// ForSources returns the names of the sources whose identities the injector writes; none
// means all.
func (s *Scope) ForSources() []string { return s.Sources }

// ParseSources parses the option sources. A name that no module has is refused here;
// whether the source is configured is checked in the handler's Validate.
func (s *Scope) ParseSources(d *caddyfile.Dispenser) error {
	return option.List(&s.Sources, option.Each(func(name string) error {
		if _, err := caddy.GetModule(guest.Sources + "." + name); err != nil {
			return option.UnknownModule(guest.Sources, "source", name)
		}
		return nil
	}))(d)
}

// parseBlock parses the block of an injector without other options.
func (s *Scope) parseBlock(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{"sources": s.ParseSources})
}
