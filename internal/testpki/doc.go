// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testpki makes certificates for tests: authorities, the certificates below them,
// revocation lists, and the forms in which proxies write a certificate into a header.
package testpki
