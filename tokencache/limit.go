// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// DefaultQPS is how many reviews may begin in a second by default.
	DefaultQPS = 100

	// DefaultMaxInFlight is how many may be under way at once by default.
	DefaultMaxInFlight = 32
)

// errTooMany is the reason for a token that is refused without waiting.
var errTooMany = errors.New("too many reviews are waiting, so this one cannot begin in time")

// Limit is how often a server is asked about tokens, and by how many reviews at once. A client
// can invent tokens, and each of them causes a review: reviews of unknown tokens have at most
// half of either limit, and none begins while a known token waits. So a flood of invented
// tokens can delay only tokens that were never seen before.
type Limit struct {
	mu                       sync.Mutex
	total                    share
	unknownShare             share     // part of total
	knownQueue, unknownQueue list.List // of *turn: the reviews that wait, the longest first
	timer                    *time.Timer
}

// turn is the place of a review in a queue.
type turn struct {
	come bool
	wake chan struct{} // nil for a review that has not waited
}

// NewLimit makes a limit of qps reviews that begin in a second, which may all begin at once,
// and of maxInFlight under way. Defaults, for 0: [DefaultQPS] and [DefaultMaxInFlight].
func NewLimit(qps, maxInFlight int) *Limit {
	if qps <= 0 {
		qps = DefaultQPS
	}
	if maxInFlight <= 0 {
		maxInFlight = DefaultMaxInFlight
	}
	return &Limit{
		total:        newShare(qps, maxInFlight),
		unknownShare: newShare(max(1, qps/2), max(1, maxInFlight/2)),
	}
}

// Review calls ask when its turn has come, and tells took how long that took, in seconds; took
// may be nil. known is as in [Cache.Judge]. It returns an error, which wraps
// [identity.ErrUnavailable], only if ask was not called. A nil Limit lets everything begin.
func (l *Limit) Review(ctx context.Context, known bool, took func(seconds float64), ask func()) error {
	if l != nil {
		if err := l.wait(ctx, known); err != nil {
			return fmt.Errorf("%w: waiting for the limit of reviews: %w", identity.ErrUnavailable, err)
		}
		defer l.done(known)
	}
	start := time.Now()
	ask()
	if took != nil {
		took(time.Since(start).Seconds())
	}
	return nil
}

// wait returns when a review may begin, whose end must be reported to [Limit.done]. It
// returns an error if ctx ends, or would end, before the turn comes.
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
	if mine.come { // its turn came just now
		l.free(known)
	} else {
		queue.Remove(place)
	}
	l.dispatch()
	return ctx.Err()
}

// Waiting is how many reviews wait for their turn.
func (l *Limit) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.knownQueue.Len() + l.unknownQueue.Len()
}

// done reports that a review has ended.
func (l *Limit) done(known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free(known)
	l.dispatch()
}

func (l *Limit) queue(known bool) *list.List {
	if known {
		return &l.knownQueue
	}
	return &l.unknownQueue
}

func (l *Limit) free(known bool) {
	l.total.slots++
	if !known {
		l.unknownShare.slots++
	}
}

// atLeast is the shortest time that the last in a queue must wait: every review before it
// ends at once.
func (l *Limit) atLeast(known bool) time.Duration {
	from := &l.total
	if !known {
		from = &l.unknownShare
	}
	return from.delay(time.Now()) + time.Duration(l.queue(known).Len()-1)*from.interval
}

// dispatch begins the reviews that may begin, and sets a timer for the next one.
func (l *Limit) dispatch() {
	now := time.Now()
	for l.knownQueue.Len() > 0 && l.total.open(now) {
		l.total.take(now)
		begin(&l.knownQueue)
	}
	for l.knownQueue.Len() == 0 && l.unknownQueue.Len() > 0 && l.total.open(now) && l.unknownShare.open(now) {
		l.total.take(now)
		l.unknownShare.take(now)
		begin(&l.unknownQueue)
	}
	next := l.total.delay(now)
	switch {
	case l.total.slots == 0: // no review may begin before another one ends
		return
	case l.knownQueue.Len() > 0:
	case l.unknownQueue.Len() > 0 && l.unknownShare.slots > 0:
		next = max(next, l.unknownShare.delay(now))
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

// begin begins the first review of a queue.
func begin(queue *list.List) {
	first := queue.Remove(queue.Front()).(*turn)
	first.come = true
	if first.wake != nil {
		close(first.wake)
	}
}

// share is a limit on beginnings (a token bucket that holds a second's worth) and on slots.
type share struct {
	interval time.Duration // from one beginning to the next
	burst    time.Duration // how far next may be ahead of now
	next     time.Time     // when the bucket is full again
	slots    int           // free ones
}

func newShare(qps, slots int) share {
	interval := (time.Second + time.Duration(qps) - 1) / time.Duration(qps) // rounded up, so as to not exceed qps
	return share{interval: interval, burst: interval * time.Duration(qps), slots: slots}
}

// delay is how long it takes until a review may begin.
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
