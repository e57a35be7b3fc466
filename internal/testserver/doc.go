// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testserver is an HTTP server for tests that can be stopped and started again at
// the same address.
package testserver
