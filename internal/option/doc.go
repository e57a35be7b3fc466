// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package option parses the options of a Caddyfile block. Each parser checks its
// arguments, refuses surplus ones, and refuses a block where the option has none; [Block]
// refuses unknown words and a second mention. The checks of single values are functions
// of their own, so that Validate holds JSON to the same conditions.
package option
