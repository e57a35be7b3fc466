// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testhandler runs kube_identity inside a test, and records what reaches the
// upstream. It has two halves, and a test uses one of them:
//
//   - A whole Caddy, in caddy*.go: [Start] and [Guard] load a Caddyfile, requests come over
//     the wire, and [Upstream] records what reaches it. It is for the tests in caddytest.
//   - A handler in process, in handler*.go: [Load] loads one from JSON without a server, and
//     [Handler.Ask] calls it. It is for the tests of the root, sources, injectors and browser.
//
// Both wait with [WaitUntil]. Certificates come from testpki, issuers from testissuer, and API
// servers from testreview.
//
// Caddy's own caddytest.Tester is not used: it skips tests instead of failing them, loads
// into any server that answers on its admin port, and writes below the home directory.
package testhandler
