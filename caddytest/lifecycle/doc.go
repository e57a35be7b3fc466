// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tests rules that hold for every source and injector: which peers are
// trusted, what other modules and the log learn, how streams end, and reloads.
package lifecycle
