// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command caddy is cmd/caddy with the handlers of package yardstick, for bench alone.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	// Caddy's standard modules, this plugin, and what it is compared with.
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-kube-identity/caddy-kube-identity"
	_ "github.com/caddy-kube-identity/caddy-kube-identity/bench/yardstick"
)

func main() {
	caddycmd.Main()
}
