// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package examples runs the quick start of the README and the files in the folder examples.
package examples
