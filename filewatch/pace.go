// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"sync"
	"sync/atomic"
	"time"
)

// Interval is the shortest time between two looks at a file.
const Interval = time.Second

// Pace lets one caller at a time look, at most once in [Interval]. The zero value has not
// looked yet. It is safe for concurrent use.
type Pace struct {
	looked  atomic.Int64 // nanoseconds since 1970
	looking sync.Mutex
}

// Do calls look if it is time to, and returns at once if another caller is looking.
func (p *Pace) Do(now time.Time, look func()) {
	if Recent(p.looked.Load(), now, Interval) || !p.looking.TryLock() {
		return
	}
	defer p.looking.Unlock()
	defer p.looked.Store(now.UnixNano())
	look()
}

// Looked records a look by other means, such as the first one while a server starts.
func (p *Pace) Looked(now time.Time) { p.looked.Store(now.UnixNano()) }

// Alone calls act while no caller looks. It does not count as a look.
func (p *Pace) Alone(act func() error) error {
	p.looking.Lock()
	defer p.looking.Unlock()
	return act()
}

// Recent says whether a look, in nanoseconds since 1970, is so recent that it still
// counts. A look in the future does not count: after a clock was set back, a file must
// still be looked at.
func Recent(looked int64, now time.Time, interval time.Duration) bool {
	since := now.UnixNano() - looked
	return 0 <= since && since < int64(interval)
}
