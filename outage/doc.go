// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package outage is for work in the background that fails for a while: keys that cannot be
// fetched, a token that cannot be renewed. [Outage] logs the first failure, then one a minute,
// and that it is over; [BackOff] says how long to wait before the next attempt.
package outage
