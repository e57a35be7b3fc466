// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testhandler puts kube_identity to the test inside the test's own process. It has
// two halves, and a test uses one of them:
//
//   - A whole Caddy, in caddy*.go: [Start] and [Guard] load a Caddyfile, requests come over
//     the wire, and [Upstream] records what reaches it. It is for the tests in caddytest.
//   - A handler, in handler*.go: [Load] loads one from JSON, without a server or an upstream,
//     and [Handler.Ask] calls it. It is for the tests beside the code that needs Caddy.
//
// Both wait by [WaitUntil]. The parties are not here, except for those that are made of a
// whole Caddy: certificates are of testpki, an issuer is of testissuer, and an API server is
// of testreview.
//
// Caddy's own caddytest.Tester is not used: it skips tests instead of failing them,
// loads into whatever answers on its admin port, and writes below the home directory.
package testhandler
