// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokenreview asks the API server who a bearer token is, and decides whether its
// answer is a yes. A review goes through it in this order:
//
//   - [Limit] keeps a flood of tokens from the API server, and lets tokens pass first that were
//     good a short while ago;
//   - [Reviewer.Review] asks, once;
//   - the answer is checked: only one that says yes in every respect is a yes.
//
// It refuses an answer for other audiences, for an anonymous user, and with an error beside
// the yes. It remembers nothing: that is for package tokencache.
package tokenreview
