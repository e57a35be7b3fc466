// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package trustpool is the option trust_pool, which client_cert, oidc and
// trusted_proxy_cert have, and two Caddy modules, pools that follow their files:
// tls.ca_pool.source.watched_file (PEM) and tls.ca_pool.source.spiffe_bundle (the bundle of a
// SPIFFE trust domain). A pool that trusts no certificate does not load.
package trustpool
