// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// parseInject parses one inject directive. If the directive names a preset, parseInject
// returns it: its fields and cookies are added to the options after the whole block was
// read.
func (h *Handler) parseInject(d *caddyfile.Dispenser) (*injectors.Preset, error) {
	if !d.NextArg() {
		return nil, d.Errf("parsing inject: an argument is missing: %s", injectForms)
	}
	if preset, ok := injectors.Presets()[d.Val()]; ok {
		expanded, err := preset.Parse(d)
		if err != nil {
			return nil, err
		}
		h.InjectorsRaw = append(h.InjectorsRaw, expanded...)
		return &preset, nil
	}
	if _, err := caddy.GetModule(guest.Injectors + "." + d.Val()); err != nil {
		return nil, unknownInjector(d)
	}
	raw, err := option.Guest(d, guest.Injectors, "injector", "injector")
	if err != nil {
		return nil, err
	}
	h.InjectorsRaw = append(h.InjectorsRaw, raw)
	return nil, nil
}

// addPreset adds the fields and cookies that a preset strips.
func (h *Handler) addPreset(preset *injectors.Preset) {
	h.StripHeaders = option.Union(h.StripHeaders, preset.StripHeaders)
	h.StripCookies = option.Union(h.StripCookies, preset.StripCookies)
	if h.ClientImpersonation == "" {
		h.ClientImpersonation = preset.ClientImpersonation
	}
}
