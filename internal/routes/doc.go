// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package routes reads the routes of a configuration, as JSON has them, and finds the ways on which
// requests reach an upstream: those that kube_identity guards, and those that it does not.
//
// It runs nothing. Two matchers are compared by what their words say, and where that leaves open
// whether a request can take a way, it can.
package routes
