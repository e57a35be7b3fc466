// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package deploy renders the chart and applies it to a real kube-apiserver, reads the Dockerfile,
// and runs the released server under the restrictions of the chart's pod.
package deploy
