// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package outage

import (
	"math/rand/v2"
	"time"
)

const (
	// logEvery is how often a failure that lasts is logged.
	logEvery = time.Minute

	// firstRetry and lastRetry are the times after a failure, doubled with each, to which up
	// to a quarter is added, so that proxies that were started together do not ask together:
	// 1 s to 60 s.
	firstRetry = time.Second
	lastRetry  = 48 * time.Second
)

// Outage counts failures in a row, and logs them without filling the log. It is not safe for
// concurrent use. The zero value logs nothing.
type Outage struct {
	// Log is told of failures, and with a nil error that they are over. It may be nil.
	Log func(message string, err error)

	// Over is the message for that.
	Over string

	failures int
	logged   time.Time
}

// Failed counts a failure. It is logged if it is the first one, or if the last one that was
// logged is a minute ago.
func (o *Outage) Failed(message string, err error) {
	o.failures++
	if o.Log == nil || o.failures > 1 && time.Since(o.logged) < logEvery {
		return
	}
	o.logged = time.Now()
	o.Log(message, err)
}

// End ends the failures, if there were any.
func (o *Outage) End() {
	if o.failures > 0 && o.Log != nil {
		o.Log(o.Over, nil)
	}
	o.failures = 0
}

// Retry returns how long to wait after the failures so far.
func (o *Outage) Retry() time.Duration { return BackOff(o.failures) }

// BackOff returns how long to wait after a number of failures in a row: 1 s, 2 s, 4 s, and
// from the seventh on 48 s, and up to a quarter more.
func BackOff(failures int) time.Duration {
	delay := min(firstRetry<<min(max(failures-1, 0), 10), lastRetry)
	return delay + rand.N(delay/4+1) //nolint:gosec // it spreads load and is no secret
}
