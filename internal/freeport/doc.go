// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package freeport finds free ports of 127.0.0.1 for the servers that tests start.
//
// The ports are outside the ranges from which systems give ports to connections and to
// listeners on port 0 (RFC 6335 section 6, and Linux from 32768), so a port that is
// released is not taken by chance before its server listens, or while the server is
// restarted.
package freeport
