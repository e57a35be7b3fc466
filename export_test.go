// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import "github.com/caddyserver/caddy/v2"

// TokenStates returns what outlives a configuration of the sources and injectors for
// tokens, by its key.
func TokenStates() map[any]any {
	states := make(map[any]any)
	for _, pool := range []*caddy.UsagePool{issuerStates, authenticationStates, reviewStates, serviceAccountStates} {
		pool.Range(func(key, value any) bool {
			states[key] = value
			return true
		})
	}
	return states
}
