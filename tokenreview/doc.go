// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokenreview asks the API server who a token's user is, and checks the answer. A
// review goes through it in this order:
//
//   - [tokencache.Limit] keeps a flood of tokens from the API server; tokens that were good a short
//     while ago pass first;
//   - [Reviewer.Review] asks, once;
//   - the answer is checked: it must confirm the token in every respect.
//
// It refuses an answer for other audiences, for an anonymous user, and one with an error
// beside the yes. It keeps nothing: package tokencache does.
package tokenreview
