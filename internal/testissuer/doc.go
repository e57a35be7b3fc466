// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testissuer is an OpenID Connect issuer for tests: keys, tokens and the endpoints
// that publish the keys. Tokens and key sets are made with the standard library only, so
// they share no mistake with the code that verifies them.
package testissuer
