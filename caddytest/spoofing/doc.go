// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package spoofing tests that a client cannot write its own identity: by any spelling of a
// field, through hop-by-hop fields, trailers, HTTP/2, or odd shapes of requests.
package spoofing
