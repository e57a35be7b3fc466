// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package recipes runs the configurations of docs/recipes.md and docs/migrating as a reader finds
// them: each Caddyfile comes from the page, and only addresses and files are replaced.
package recipes
