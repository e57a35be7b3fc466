// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

// The namespaces of Caddy modules in which sources, injectors and sources of ranges register.
const (
	Sources   = "http.kube_identity.sources"
	Injectors = "http.kube_identity.injectors"
	IPSources = "http.ip_sources"
)
