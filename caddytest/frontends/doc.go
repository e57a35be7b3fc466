// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package frontends tests the presets for client certificates behind the proxies that
// they are for: nginx, HAProxy and Apache, as Debian packages them.
package frontends
