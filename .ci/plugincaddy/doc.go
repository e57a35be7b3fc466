// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command plugincaddy is Caddy with its standard modules and this plugin, as others build it:
// without the issuer for demonstrations that cmd/caddy has. It is compared with plaincaddy.
package main
