// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokencache is in front of every verification of a bearer token, local (OIDC) or
// remote (TokenReview, introspection). It keeps verdicts for a short while, judges each token once however
// many requests have it, and bounds the cost of a flood of invented tokens: memory,
// questions to the server that decides, and delays for users who were there before. The design is
// that of the API server's own cache (k8s.io/apiserver, pkg/authentication/token/cache).
//
// A request goes through it in this order:
//
//   - [Cache.Key] hashes the token, and everything else that its verdict depends on;
//   - [Cache.Get] looks for a verdict;
//   - [Cache.Judge] judges the token if there is none;
//   - [Limit] keeps a flood of tokens from a server that is asked: tokens that were good a
//     short while ago pass first.
//
// It refuses a token itself only when no verdict can be reached now: too many unknown tokens
// are being judged, the judgement takes too long, or the cache is closed.
//
// Memory: at most Size good verdicts of 64 KiB each, which would be 256 MiB by default; a
// user with a dozen groups takes about 1 kB, which makes 4 MiB. What handlers derive from a
// verdict ([identity.Memo]) shares its texts, and takes about as much again for each handler.
// In addition there are Size bad verdicts of at most 1 KiB of text each.
package tokencache
