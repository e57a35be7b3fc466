// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package admin is the module admin.api.kube_identity: it shows on Caddy's admin endpoint what
// the plugin keeps, and drops verdicts.
package admin
