// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package apiserver runs a real kube-apiserver for tests.
//
// Start builds the program in caddytest/kubeapi once into the user's cache and starts it
// as a child process with certificate authorities, an OpenID Connect issuer and an audit
// log of its own. A proxy's mistakes with identities show in the user that the API server
// sees, so only a real API server can find them. Only the kubelet is a stand-in: see Pod.
package apiserver
