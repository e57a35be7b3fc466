// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package introspection asks an authorization server who an opaque token's user is (OAuth 2.0
// Token Introspection, RFC 7662), and checks the answer. A token goes through it in this order:
//
//   - a token with bytes that no token of RFC 6750 has is refused, and never sent;
//   - [tokencache.Limit] keeps a flood of tokens from the server; tokens that were good a short
//     while ago pass first;
//   - [Introspector.Review] asks, once, and proves which client the proxy is;
//   - the answer is read strictly, and must confirm the token in every respect: RFC 7662 requires
//     active alone, which says neither for whom the token is nor for how long;
//   - a mapper maps the members to a user, by the rules of package oidc.
//
// It refuses tokens that are not credentials of their bearer: refresh tokens and ID tokens. What a
// token is bound to ([identity.Confirmation]) goes into the verdict, and each request is compared.
// It keeps nothing: package tokencache does.
package introspection
