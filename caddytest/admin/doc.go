// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package admin tests what an operator sees of a running server: the admin API and its commands,
// readiness, events, and the page whoami.
package admin
