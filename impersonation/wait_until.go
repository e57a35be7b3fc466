// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"time"
)

// clockLook is how often the clock on the wall is looked at: timers do not see that it is
// set, and stand still while the host is suspended.
const clockLook = 10 * time.Second

// waitUntil says whether a time on the wall came before ctx ended. It comes also when that
// clock is set or the host was suspended, and not later than it is off now.
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
