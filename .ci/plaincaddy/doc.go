// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command plaincaddy is Caddy with only its standard modules, to measure how much this
// plugin adds to the size of the binary.
package main
