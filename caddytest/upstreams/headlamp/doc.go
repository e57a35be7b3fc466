// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package headlamp is a stand-in for Headlamp.
package headlamp
