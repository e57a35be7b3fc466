// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package lru keeps the most recently used values of a cache, up to its size.
//
// It knows no time: the caller knows when a value has ended, and removes it. It has no
// lock either, since its callers hold one over more than a single step.
package lru
