// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstRetry and lastRetry are the times after a failure, doubled with each, to which up
	// to a quarter is added: 1 s to 60 s.
	firstRetry = time.Second
	lastRetry  = 48 * time.Second

	// logEvery is how often an outage that goes on is logged.
	logEvery = time.Minute

	// clockLook is how often the clock on the wall is looked at: timers do not see that it
	// is set, and stand still while the host is suspended.
	clockLook = 10 * time.Second
)

// serviceOutage counts failures, and says them without filling the log.
type serviceOutage struct {
	log      func(message string, err error)
	failures int
	logged   time.Time
}

// failed counts a failure. kept says that there is a token left.
func (o *serviceOutage) failed(err error, kept bool) {
	o.failures++
	if o.log == nil || o.failures > 1 && time.Since(o.logged) < logEvery {
		return
	}
	o.logged = time.Now()
	if kept {
		o.log("keeping the last good service account token", err)
	} else {
		o.log("there is no service account token", err)
	}
}

// over ends the outage, if there was one.
func (o *serviceOutage) over() {
	if o.failures > 0 && o.log != nil {
		o.log("the service account token is renewed again", nil)
	}
	o.failures = 0
}

// retry returns the time until the next attempt: 1 s, 2 s, 4 s to 48 s, and up to a quarter more.
func (o *serviceOutage) retry() time.Duration {
	delay := min(firstRetry<<min(o.failures-1, 10), lastRetry)
	return delay + rand.N(delay/4+1) //nolint:gosec // it spreads load and is no secret
}

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
