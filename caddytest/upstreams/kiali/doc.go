// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package kiali is a stand-in for Kiali.
package kiali
