// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// DefaultQPS is how many reviews may begin in a second when nothing is said.
	DefaultQPS = 100

	// DefaultMaxInFlight is how many may be under way at once.
	DefaultMaxInFlight = 32
)

// errTooMany is why somebody is sent away without having waited.
var errTooMany = errors.New("too many wait to have a turn in time")

// Limit is how often the API server is asked, and by how many at once. Anybody can invent
// tokens, and each of them is a question: those that are not known have at most half of
// either limit, and none begins while a known one waits. So a flood of them costs others
// their first review at worst, and never takes from users who were there before.
type Limit struct {
	mu            sync.Mutex
	all           share
	unknown       share     // of all
	known, others list.List // of *turn: those who wait, the longest first
	timer         *time.Timer
}

// turn is somebody's in a queue.
type turn struct {
	come bool
	wake chan struct{} // nil for who has not waited
}

// NewLimit makes a limit of how many reviews may begin in a second, which may all begin at
// once, and of how many may be under way. Defaults, for 0: [DefaultQPS] and
// [DefaultMaxInFlight].
func NewLimit(qps, maxInFlight int) *Limit {
	if qps <= 0 {
		qps = DefaultQPS
	}
	if maxInFlight <= 0 {
		maxInFlight = DefaultMaxInFlight
	}
	return &Limit{
		all:     newShare(qps, maxInFlight),
		unknown: newShare(max(1, qps/2), max(1, maxInFlight/2)),
	}
}

// wait returns when a review may begin, after which it must be [Limit.done]; or an error,
// when ctx ends before, or would.
func (l *Limit) wait(ctx context.Context, known bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	mine, queue := new(turn), l.queue(known)
	place := queue.PushBack(mine)
	l.dispatch()
	if mine.come {
		l.mu.Unlock()
		return nil
	}
	if end, limited := ctx.Deadline(); limited && !time.Now().Add(l.atLeast(known)).Before(end) {
		queue.Remove(place)
		l.dispatch()
		l.mu.Unlock()
		return errTooMany
	}
	mine.wake = make(chan struct{})
	l.mu.Unlock()

	select {
	case <-mine.wake:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if mine.come { // this very moment
		l.free(known)
	} else {
		queue.Remove(place)
	}
	l.dispatch()
	return ctx.Err()
}

// done says that a review has ended.
func (l *Limit) done(known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free(known)
	l.dispatch()
}

func (l *Limit) queue(known bool) *list.List {
	if known {
		return &l.known
	}
	return &l.others
}

func (l *Limit) free(known bool) {
	l.all.slots++
	if !known {
		l.unknown.slots++
	}
}

// atLeast is how long the last in a queue will wait even if every review ends at once.
func (l *Limit) atLeast(known bool) time.Duration {
	from := &l.all
	if !known {
		from = &l.unknown
	}
	return from.delay(time.Now()) + time.Duration(l.queue(known).Len()-1)*from.interval
}

// dispatch lets begin who may, and comes back when the next one may.
func (l *Limit) dispatch() {
	now := time.Now()
	for l.known.Len() > 0 && l.all.open(now) {
		l.all.take(now)
		begin(&l.known)
	}
	for l.known.Len() == 0 && l.others.Len() > 0 && l.all.open(now) && l.unknown.open(now) {
		l.all.take(now)
		l.unknown.take(now)
		begin(&l.others)
	}
	next := l.all.delay(now)
	switch {
	case l.all.slots == 0: // nobody may before one is done
		return
	case l.known.Len() > 0:
	case l.others.Len() > 0 && l.unknown.slots > 0:
		next = max(next, l.unknown.delay(now))
	default:
		return
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(next, l.tick)
	} else {
		l.timer.Reset(next)
	}
}

func (l *Limit) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatch()
}

// begin lets the first of a queue begin.
func begin(queue *list.List) {
	first := queue.Remove(queue.Front()).(*turn)
	first.come = true
	if first.wake != nil {
		close(first.wake)
	}
}

// share is a limit on beginnings, as a bucket of tokens that holds a second's worth, and
// on slots.
type share struct {
	interval time.Duration // from one beginning to the next
	burst    time.Duration // how far next may be ahead of now
	next     time.Time     // when all that has begun is paid for
	slots    int           // that are free
}

func newShare(qps, slots int) share {
	interval := (time.Second + time.Duration(qps) - 1) / time.Duration(qps) // rounded up, so as to not exceed qps
	return share{interval: interval, burst: interval * time.Duration(qps), slots: slots}
}

// delay is how long it takes until one may begin.
func (s *share) delay(now time.Time) time.Duration {
	return max(0, s.next.Add(s.interval-s.burst).Sub(now))
}

func (s *share) open(now time.Time) bool { return s.slots > 0 && s.delay(now) == 0 }

func (s *share) take(now time.Time) {
	if s.next.Before(now) {
		s.next = now
	}
	s.next = s.next.Add(s.interval)
	s.slots--
}
