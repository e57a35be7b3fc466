// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package pages has the handlers that answer requests themselves: kube_identity_ready, for
// probes, and kube_identity_whoami, for users.
package pages
