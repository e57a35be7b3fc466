// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokencache stands in front of every verification of a bearer token, be it local
// (OIDC) or remote (TokenReview). It remembers verdicts for a short while, has each token
// judged once however many requests bring it, and bounds what a flood of invented tokens
// can cost: in memory, in questions to the API server, and for users who were there before.
// The design is that of the API server's own cache (k8s.io/apiserver,
// pkg/authentication/token/cache).
//
// A request goes through it in this order:
//
//   - [Cache.Key] hashes the token, and whatever else its verdict rests on;
//   - [Cache.Get] looks for a verdict;
//   - [Cache.Judge] finds one out where there is none.
//
// It refuses a token itself only when the verdict cannot be found out now: too many unknown
// tokens are being judged, the judgement takes too long, or the cache is closed.
//
// Memory: at most Size good verdicts of 64 KiB each, which would be 256 MiB by default; a
// user with a dozen groups takes about 1 kB, which makes 4 MiB. To this come Size bad
// verdicts of at most 1 KiB of text each.
package tokencache
