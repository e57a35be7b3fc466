// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parse reads the block of a preset, whose name is the current token, and expands it into
// injectors.
func (p *Preset) Parse(d *caddyfile.Dispenser) ([]json.RawMessage, error) {
	segment := d.NewFromNextSegment()
	expanded, err := p.expand(segment)
	if err != nil {
		return nil, err
	}
	if segment.Next() {
		return nil, segment.Errf("unexpected '%s'", segment.Val())
	}
	return expanded, nil
}

// CheckLogin refuses a value of the option login that this upstream cannot use.
func (p *Preset) CheckLogin(login string) error {
	if p.checkLogin == nil {
		return nil
	}
	return p.checkLogin(login)
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
		scope = injector.Scope
		raw = append(raw, caddyconfig.JSONModuleObject(injector, "injector", "impersonation", nil))
	case p.headers != nil:
		if err := headers.UnmarshalCaddyfile(d); err != nil {
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

// checkAuthorize refuses a login that OpenShift refuses: with another path its pages for
// granting access are not found (openshift/api, config/v1/types_oauth.go: loginURL).
func checkAuthorize(login string) error {
	if login == "" {
		return nil
	}
	place, _, _ := strings.Cut(login, "?")
	if parsed, err := url.Parse(place); err != nil || !strings.HasSuffix(parsed.Path, "/authorize") {
		return errors.New("for openshift_oauth its path must end in /authorize")
	}
	return nil
}
