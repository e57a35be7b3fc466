// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package upstreams puts the presets of the injectors in front of stand-ins for their
// products, each in a folder of its own. A stand-in reads header fields exactly as the
// product does, mistakes included, and asks the real API server if the product does.
package upstreams
