// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package kube puts the plugin in front of a real kube-apiserver, and lets the API server
// say who it takes the client for.
package kube
