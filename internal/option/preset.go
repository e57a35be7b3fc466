// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// UnknownPreset is the error for a name that is not a preset of the kind, such as "oidc".
// It lists no presets, so that a new one changes no error.
func UnknownPreset(d *caddyfile.Dispenser, kind, name string) error {
	return d.Errf("unrecognized %s preset '%s': the README has the table of them", kind, name)
}
