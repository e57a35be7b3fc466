// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package ipsource is the Caddy module http.ip_sources.kubernetes_service: the addresses of a
// Service's endpoints, for trusted_proxies of kube_identity and of Caddy's own servers. The
// watch itself is package endpoints.
package ipsource
