// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package injectors has the guest modules http.kube_identity.injectors.*: token,
// impersonation, headers and front_proxy. Each is one way to write a proven identity into
// the request that goes upstream. A configuration chooses them by the directive inject, by
// name or by a preset for an upstream ([Presets]), which expands into them.
//
// An injector sets whole fields or fails; what it writes is written by package
// impersonation. It says about itself, by methods that the handler looks for, which fields
// and cookies it writes and whether it sends the user's own token.
package injectors
