// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package monitoring tests what Prometheus and Grafana read: the metrics of a running Caddy, the
// alerts and the dashboard.
package monitoring
