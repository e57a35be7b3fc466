// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testkube puts the plugin in front of a real kube-apiserver, and asks the API
// server which user it sees. A test binary has one API server, started for the first test
// that needs it.
package testkube
