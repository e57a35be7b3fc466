// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package answers tests that a front proxy which asks about a request forwards exactly the
// identity that it got for an answer: nginx and Caddy themselves, and Traefik and Envoy by what
// their sources send and do.
package answers
