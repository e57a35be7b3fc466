// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package sources has the guest modules http.kube_identity.sources.*: client_cert, oidc,
// authentication_config, token_review, forwarded, placeholder and anonymous. Each is one
// way to find out who is asking, with one directive, one JSON value and one log value of
// the same word.
//
// The handler asks them in the order written. A source returns identity.ErrAbsent only
// when its credential is not there at all; a credential that is there decides, good or
// bad. A source says in Reads which fields it reads, so that the handler strips them, and
// whether only a trusted proxy may set them. A source leaves the verification to a leaf:
// certauth, identity/oidc, tokenreview or identity.
package sources
