// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package session keeps a browser's login: it seals what the browser holds, refreshes it and
// ends it. It knows neither Caddy nor requests, and fetches nothing itself except from a
// [Storage]; codeflow below it talks to the issuer.
//
// A session is a container for tokens. It proves nothing: the source that the browser logged in
// at verifies its ID token on each request, as it does with a bearer token, so that a thief of
// the sealing key cannot make users up, and a change of policy acts at once.
//
// A request with a cookie meets it in this order:
//
//   - [Keeper].Open collects the chunks of the cookie, opens them with [Keys], and checks
//     [Limits]: a [Jar] finds the session in the cookies, a [Store] in Caddy's storage by the
//     ticket in the cookie. Cookies that cannot be used are no session ([identity.ErrAbsent]);
//   - the source verifies the ID token, which gives [Facts];
//   - [DenyList.Check] refuses a session that was logged out, here or at another instance;
//   - [Refresher.Due] and [Refresher.Refresh] replace an ID token before it expires, once for
//     all requests that bring it;
//   - [Keeper].Seal writes the cookie if the session was refreshed, or if [Limits.UseDue];
//   - [DenyList.Watch] ends a stream when its session ends.
//
// A login goes this way:
//
//   - [ReturnPath] checks where the browser wants to return to;
//   - [Jar.OpenBinding] or [NewBinding], then [Jar.SealBinding], tie the login to the browser;
//   - [Jar.SealState] seals the [Attempt] into the parameter state; [Binding.Nonce] and
//     [Binding.Verifier] follow from both;
//   - in the callback [Jar.OpenState] judges the state, before anything is sent anywhere;
//   - [New] makes the session, [Keeper].Add its place, [Keeper].Seal the cookie, and
//     [Binding.WithFinished] counts the login against loops.
//
// A logout is [DenyList.Deny], [Keeper].Remove and [Keeper].End. [Sweep] deletes from the
// storage what has expired.
package session
