// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package certs tests client certificates, in the handshake and in every form in which a
// proxy passes them on.
package certs
