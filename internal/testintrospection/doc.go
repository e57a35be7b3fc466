// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testintrospection is an authorization server for tests: opaque tokens, and the endpoint
// that introspects them (RFC 7662). It checks the request as strictly as a server may.
package testintrospection
