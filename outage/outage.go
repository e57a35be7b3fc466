// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package outage

import (
	"math/rand/v2"
	"time"
)

const (
	// logEvery is the time between two log lines about a failure that lasts.
	logEvery = time.Minute

	// firstRetry and lastRetry are the first and the last wait after a failure, 1 s and
	// 60 s. The wait doubles with each failure, and up to a quarter is added, so that
	// proxies that were started together do not retry together.
	firstRetry = time.Second
	lastRetry  = 48 * time.Second
)

// Outage counts failures in a row, and logs them without filling the log. It is not safe for
// concurrent use. The zero value logs nothing.
type Outage struct {
	// OnProblem is called with a failure, and with a nil error when the failures are
	// over. It may be nil.
	OnProblem func(message string, err error)

	// Over is the message when they are over.
	Over string

	// OnChange is called with the first failure of an outage, and with nil when it is over.
	// It may be nil.
	OnChange func(err error)

	failures int
	logged   time.Time
}

// Failed counts a failure. It is logged if it is the first one, or if the last logged one
// was a minute ago.
func (o *Outage) Failed(message string, err error) {
	o.failures++
	if o.failures == 1 && o.OnChange != nil {
		o.OnChange(err)
	}
	if o.OnProblem == nil || o.failures > 1 && time.Since(o.logged) < logEvery {
		return
	}
	o.logged = time.Now()
	o.OnProblem(message, err)
}

// End ends the failures, if there were any.
func (o *Outage) End() {
	if o.failures > 0 && o.OnProblem != nil {
		o.OnProblem(o.Over, nil)
	}
	if o.failures > 0 && o.OnChange != nil {
		o.OnChange(nil)
	}
	o.failures = 0
}

// Retry returns how long to wait after the failures so far.
func (o *Outage) Retry() time.Duration { return BackOff(o.failures) }

// BackOff returns how long to wait after a number of failures in a row: 1 s, 2 s, 4 s,
// and from the seventh on 48 s, plus up to a quarter.
func BackOff(failures int) time.Duration {
	delay := min(firstRetry<<min(max(failures-1, 0), 10), lastRetry)
	return delay + rand.N(delay/4+1) //nolint:gosec // it spreads load and is no secret
}
