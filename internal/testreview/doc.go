// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testreview is a stand-in for the API server in tests: it serves only TokenReview
// and TokenRequest.
package testreview
