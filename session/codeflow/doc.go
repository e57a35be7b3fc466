// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package codeflow speaks with an OpenID Connect issuer at which browsers log in: the
// authorization code flow with PKCE, refresh, revocation and logout. It keeps no session and
// knows no request.
//
// A login goes through it in this order:
//
//   - [New] checks a [Config], without the network. [Provider.Metadata] finds the issuer's
//     endpoints (OpenID Connect Discovery 1.0), when they are first needed;
//   - [Provider.AuthorizationURL] is where the browser is sent to, with the state, the nonce and
//     the PKCE verifier of an [Attempt], which the caller makes and binds to the browser;
//   - [ParseCallback] reads what the browser brings back. The caller checks the state, before
//     anything is sent anywhere; [Provider.Exchange] compares iss (RFC 9207) and redeems the code;
//   - the caller verifies the ID token like any bearer token, and then
//     [Provider.CheckIDToken] checks what matters in a login only: nonce, azp, at_hash, max_age.
//
// Later [Provider.Refresh] and [Provider.CheckRefreshed] renew the tokens,
// [Provider.Revoke] and [Provider.LogoutURL] end the login at the issuer, and [LogoutVerifier]
// reads the issuer's own logout tokens (OpenID Connect Back-Channel Logout 1.0).
//
// golang.org/x/oauth2 writes the requests to the token endpoint, always in one style of
// client authentication: in its automatic style it repeats a request that failed, and so spends
// a code or a refresh token twice. It sends them through package fetch, and this package
// reads the answers first, so that x/oauth2 sees only those that were read strictly: its errors
// would show whole answers.
//
// No code, state, verifier, secret or token is in an error, and no text of the issuer's except
// names of a closed set.
package codeflow
