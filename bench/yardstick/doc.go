// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package yardstick has two handlers for Caddy to compare kube_identity with: yardstick_null,
// which only calls the next one, and yardstick_minimal, which does the least that any handler
// like kube_identity has to do. Only the binary of bench contains them.
package yardstick
