// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package oidc verifies tokens of OpenID Connect issuers (JWTs) and maps their claims to
// users, by the rules of kube-apiserver where it has any. It promises that a token means the
// same here as there, or is refused here. The tests compare it with go-oidc, the API
// server's verifier: which tokens it accepts, and what that costs.
//
// A token goes through it in this order:
//
//   - [Authenticator.Authenticate] looks for a verdict under the issuers' present keys;
//   - the token is read strictly: a compact JWS, an asymmetric algorithm, no name twice in any
//     case, nothing but UTF-8 (see [ParseClaims]);
//   - [Issuer] checks the types of the standard claims, that the token is a credential, the
//     audience, the client that it was issued to, and the times, which costs nothing;
//   - [Keys] verify the signature with go-jose: [RemoteKeys] are those that the issuer
//     publishes, [FileKeys] are in a file;
//   - a [Mapper] maps the claims to a user: [Mapping] by the rules of the flags --oidc-*,
//     package authenticationconfig by the API server's own file.
//
// Keys, URLs and claims that a token itself contains or points to are never followed. A
// token that is not a JWT, or whose issuer is not configured, is absent rather than bad:
// another source may know it.
package oidc
