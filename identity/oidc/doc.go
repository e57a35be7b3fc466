// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package oidc verifies tokens of OpenID Connect issuers (JWTs) and maps their claims to
// users, by the rules of kube-apiserver where it has any. It promises that a token means the
// same here as there, or is refused here. So go-oidc, the API server's verifier, has the last
// word on each token, and only sees tokens that a stricter reader has let through. (The API
// server has version 2 of it, which decodes claims as version 3 does.)
//
// A token goes through it in this order:
//
//   - [Authenticator.Authenticate] looks for a verdict under the issuers' present keys;
//   - the token is read strictly: a compact JWS, an asymmetric algorithm, no name twice in any
//     case, nothing but UTF-8 (see [ParseClaims]);
//   - [Issuer] checks that the token is a credential, the audience, the client that it was
//     issued to, and the times, which costs nothing;
//   - go-oidc reads the token again, asks the issuer's [Keys] to verify the signature, and
//     checks the standard claims: [RemoteKeys] are the keys that the issuer publishes,
//     [FileKeys] are in a file;
//   - a [Mapper] maps the claims to a user: [Mapping] by the rules of the flags --oidc-*,
//     package authenticationconfig by the API server's own file.
//
// go-oidc's own RemoteKeySet and discovery are not used: they keep keys for ever, fetch again
// for each invented token, without a limit of size, follow redirects, and have the answer's
// body in their errors.
//
// Keys, URLs and claims that a token itself contains or points to are never followed. A
// token that is not a JWT, or whose issuer is not configured, is absent rather than bad:
// another source may know it.
package oidc
