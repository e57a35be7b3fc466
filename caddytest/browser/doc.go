// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package browser tests, with a real browser, what a page of another origin can do with a
// session.
package browser
