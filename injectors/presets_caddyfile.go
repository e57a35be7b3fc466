// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Parse reads the block of a preset, whose name is the current token, and expands it into
// injectors.
func (p *Preset) Parse(d *caddyfile.Dispenser) ([]json.RawMessage, error) {
	segment := d.NewFromNextSegment()
	expanded, err := p.expand(segment)
	if err != nil {
		return nil, err
	}
	return expanded, option.AllRead(segment)
}

// expand reads the block by the injector that the preset specialises.
func (p *Preset) expand(d *caddyfile.Dispenser) ([]json.RawMessage, error) {
	headers := new(Headers)
	if p.headers != nil {
		*headers = *p.headers
	}
	var scope Scope
	var raw []json.RawMessage
	switch {
	case p.impersonation:
		injector := &Impersonation{SortGroups: p.sortGroups}
		if err := injector.UnmarshalCaddyfile(d); err != nil {
			return nil, err
		}
		if p.refuse != nil {
			if err := p.refuse(injector); err != nil {
				return nil, d.Errf("parsing %v", err)
			}
		}
		if err := option.CheckWhole(d, injector); err != nil {
			return nil, err
		}
		scope = injector.Scope
		raw = append(raw, caddyconfig.JSONModuleObject(injector, "injector", "impersonation", nil))
	case p.headers != nil:
		if err := headers.UnmarshalCaddyfile(d); err != nil {
			return nil, err
		}
		if err := option.CheckWhole(d, headers); err != nil {
			return nil, err
		}
		scope = headers.Scope
	default:
		if err := scope.parseBlock(d); err != nil {
			return nil, err
		}
	}
	if p.token {
		token := &Token{Scope: scope, Cookie: p.cookie}
		raw = append(raw, caddyconfig.JSONModuleObject(token, "injector", "token", nil))
	}
	if p.frontProxy {
		raw = append(raw, caddyconfig.JSONModuleObject(&FrontProxy{Scope: scope}, "injector", "front_proxy", nil))
	}
	if p.headers != nil {
		headers.Scope = scope
		raw = append(raw, caddyconfig.JSONModuleObject(headers, "injector", "headers", nil))
	}
	return raw, nil
}
