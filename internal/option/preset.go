// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnknownPreset is the error for a name that is not a preset of the kind, such as "oidc".
func UnknownPreset[P any](d *caddyfile.Dispenser, kind string, presets map[string]P) error {
	name := d.Val()
	if text := hint(name, slices.Sorted(maps.Keys(presets))); text != "" {
		return d.Errf("unrecognized %s preset '%s'%s", kind, name, text)
	}
	return d.Errf("unrecognized %s preset '%s': the presets are in docs/sources/%s.md", kind, name, kind)
}
