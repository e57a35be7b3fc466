// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package require tests that only the required users and groups come in: at all, for some paths,
// and by expressions of the routes behind kube_identity.
package require
