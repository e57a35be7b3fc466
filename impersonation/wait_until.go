// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"time"
)

// clockLook is the time between two looks at the wall clock: a timer does not notice that
// the clock is set, and stops while the host is suspended.
const clockLook = 10 * time.Second

// waitUntil says whether a time by the wall clock came before ctx ended. It also returns
// when that clock is set or the host was suspended, late by clockLook at most.
func waitUntil(ctx context.Context, at time.Time) bool {
	timer, ticker := time.NewTimer(time.Until(at)), time.NewTicker(clockLook)
	defer timer.Stop()
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-ticker.C:
			if !time.Now().Before(at) {
				return true
			}
		}
	}
}
