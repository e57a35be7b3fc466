// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command caddy is Caddy with its standard modules and kube_identity, for users who do not
// want to install xcaddy: go run ./cmd/caddy.
package main
