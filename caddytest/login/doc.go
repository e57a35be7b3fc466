// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package login tests logins of browsers: the code flow, sessions, refresh and logout, with a
// stand-in for the issuer that is strict.
package login
