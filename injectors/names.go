// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Names returns the words that may follow inject: those of injectors, and of presets.
func Names() []string {
	names := slices.Collect(maps.Keys(Presets()))
	for _, module := range caddy.GetModules(guest.Injectors) {
		names = append(names, module.ID.Name())
	}
	slices.Sort(names)
	return names
}
