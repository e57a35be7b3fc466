// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package command is `caddy kube-identity`. check follows a described request through a
// configuration's routes as Caddy would ([Explainer]) and prints what the handler did with
// it; credentials appear only as a short hash. rbac prints the RBAC manifest that a
// configuration needs: it decodes each guest module and asks it (identity.ClusterUser).
//
// Neither listens on a port or sends anything to an upstream.
package command
