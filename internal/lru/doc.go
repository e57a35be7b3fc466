// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package lru keeps the latest used values of a cache, and no more of them than its size.
//
// It knows no time: a value that has ended is removed by the caller, who knows when that is.
// It has no lock either, as its callers hold one over more than a single step.
package lru
