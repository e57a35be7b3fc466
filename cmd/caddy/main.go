// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command caddy is Caddy with its standard modules and kube_identity, for those
// who would rather not install xcaddy: go run ./cmd/caddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	// Caddy's standard modules, and this plugin.
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-kube-identity/caddy-kube-identity"
)

func main() {
	caddycmd.Main()
}
