// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	// Caddy's standard modules, and this plugin.
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-kube-identity/caddy-kube-identity"
	// The issuer of the quickstart, which only this binary has.
	_ "github.com/caddy-kube-identity/caddy-kube-identity/cmd/caddy/internal/demoissuer"
)

func main() {
	caddycmd.Main()
}
