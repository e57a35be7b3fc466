// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testhandler runs a real Caddy with this plugin inside a test, or loads the handler
// alone, and records what reaches the upstream. caddy.go runs Caddy, exchange.go sends it
// requests byte for byte, inprocess.go loads a handler from JSON, answer.go sends requests
// through it, and the other files are the parties around it: clients, peers, issuers, an
// API server and upstreams.
//
// Caddy's own caddytest.Tester is not used: it skips tests instead of failing them, loads
// into any server that answers on its admin port, and writes below the home directory.
package testhandler
