// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what kube_identity costs end to end: CPU seconds of the Caddy
// process per 100,000 requests, as a ratio to the same Caddy with a bare reverse_proxy, or
// with a handler that does the least; how that grows; how long loads and reloads take; what
// a flood of bad tokens costs the process and its users; and what made-up chains of
// certificates cost. README.md says how to run it and how to read the result.
package main
