// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package demoissuer is a small OpenID Connect issuer for the quickstart, as the Caddy handler
// demo_issuer. It is for demonstrations only: its users and their passwords are the same
// everywhere and are shown on its login page, so whoever reaches it logs in as anyone. It
// therefore has a loopback address only, sends browsers to loopback addresses only, and answers
// neither other machines nor proxies.
//
// The folder is internal to cmd/caddy: no build with xcaddy can contain it.
//
// The protocol is that of a careful issuer, so that the quickstart shows what a real one does:
// authorization code with PKCE (S256 only), codes for one use within a minute, the parameter iss
// in answers (RFC 9207), refresh tokens for one use, whose second use ends the login (RFC 9700,
// section 4.14.2), revocation (RFC 7009), and logout that asks unless the client proves whose
// session it means. There is no userinfo endpoint: the ID token has all claims.
//
// Everything is in memory. A reload of the configuration keeps the key, the sessions and the
// refresh tokens if the handler's own settings and the client secret have not changed. A restart
// of Caddy loses them all, and users log in again.
package demoissuer
