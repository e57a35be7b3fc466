// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parsePreset expands a preset whose name is the current token. What it strips is put
// into h when the block has been read (addPresets), since strip_headers may follow.
func (h *Handler) parsePreset(d *caddyfile.Dispenser, name string, p preset) error {
	segment := d.NewFromNextSegment()
	expanded, err := p.parse(segment)
	if err != nil {
		return err
	}
	if segment.Next() {
		return segment.Errf("unexpected '%s'", segment.Val())
	}
	h.InjectorsRaw = append(h.InjectorsRaw, expanded...)
	h.presets = append(h.presets, name)
	return nil
}

// parse reads the block by the injector that the preset specialises.
func (p *preset) parse(d *caddyfile.Dispenser) ([]json.RawMessage, error) {
	headers := new(InjectHeaders)
	if p.headers != nil {
		*headers = *p.headers
	}
	var scope Scope
	var raw []json.RawMessage
	switch {
	case p.impersonation:
		injector := &InjectImpersonation{SortGroups: p.sortGroups}
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
		token := &InjectToken{Scope: scope, Cookie: p.cookie}
		raw = append(raw, caddyconfig.JSONModuleObject(token, "injector", "token", nil))
	}
	if p.headers != nil {
		headers.Scope = scope
		raw = append(raw, caddyconfig.JSONModuleObject(headers, "injector", "headers", nil))
	}
	return raw, nil
}

// parseBlock parses the block of an injector without other options.
func (s *Scope) parseBlock(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return block(d, map[string]func(*caddyfile.Dispenser) error{"sources": s.parseSources})
}

// addPresets adds what the presets strip, once each, and judges what they say together
// with the rest of the block.
func (h *Handler) addPresets(d *caddyfile.Dispenser) error {
	all := presets()
	for _, name := range h.presets {
		p := all[name]
		h.StripHeaders = union(h.StripHeaders, p.stripHeaders)
		h.StripCookies = union(h.StripCookies, p.stripCookies)
		if h.ClientImpersonation == "" {
			h.ClientImpersonation = p.clientImpersonation
		}
		if name == "openshift_oauth" {
			if err := checkAuthorize(h.Login); err != nil {
				return d.Errf("login: %v", err)
			}
		}
	}
	return nil
}

// checkAuthorize refuses a login that OpenShift would: with another path its pages for
// granting would not be found (openshift/api, config/v1/types_oauth.go: loginURL).
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

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
