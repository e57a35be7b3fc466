// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokens tests bearer tokens: the sources oidc, authentication_config and
// token_review, with a stand-in for the issuer and for the API server.
package tokens
