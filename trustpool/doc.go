// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package trustpool is the option trust_pool, which client_cert, oidc and
// trusted_proxy_cert have, and the Caddy module tls.ca_pool.source.watched_file, a pool
// that follows its files. A pool that trusts no certificate does not load.
package trustpool
