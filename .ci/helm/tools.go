// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools imports the tools of this module, so that they are direct requirements:
// Dependabot does not renew indirect ones.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
