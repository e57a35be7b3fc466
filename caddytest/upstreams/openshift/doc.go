// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package openshift is a stand-in for OpenShift's OAuth server.
package openshift
