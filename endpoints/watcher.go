// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// StaleAfter is how long the last known addresses count after the watch broke. If the connection
// just falls silent, it is counted from the last frame.
const StaleAfter = time.Minute

var errNotYet = errors.New("they have not been read yet")

// Client is the part of [kubernetes.Client] that is used here.
type Client interface {
	Stream(ctx context.Context, verb, resource, path string, query url.Values) (io.ReadCloser, error)
}

// Config says what to watch. The names are valid: they become part of a path and a query.
type Config struct {
	Client             Client
	Namespace, Service string

	// Fault is why no call of the client can succeed; nil for one that works. With a fault
	// nothing is watched.
	Fault error

	// Hosts are addresses of this pod's own host. A Service that has one of them selects pods
	// in the network of their hosts, and none of its addresses counts.
	Hosts []netip.Addr

	// OnProblem is called with the first failure, then once a minute as long as it lasts, and
	// with a nil error when it is over. OnChange is called with the number of addresses when
	// they have changed, and OnUse with a reason when the known addresses do not count any more,
	// and with nil when there are some that count again. None of them waits. They may be nil.
	OnProblem func(message string, err error)
	OnChange  func(endpoints int)
	OnUse     func(err error)
}

// service is what is watched.
type service struct{ namespace, name string }

// Watcher knows the addresses of one Service's endpoints. Start begins, Close ends.
type Watcher struct {
	config  Config
	of      service
	lists   bool // the API server is known to need a list before a watch; of run alone
	current atomic.Pointer[knowledge]
	was     atomic.Bool // the addresses were known and counted at some time

	mu      sync.Mutex
	problem error // of the last attempt; nil while the watch is there
	lost    bool  // as OnUse was told
	look    *time.Timer
	closed  bool

	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// knowledge is what the API server said last. It does not change.
type knowledge struct {
	ranges  []netip.Prefix
	refused error     // why none of the addresses counts
	at      time.Time // until when the API server is known to say so
}

// stale says whether it is too old, by the clock that cannot be set or by the one that runs on while a
// machine sleeps.
func (k *knowledge) stale(now time.Time) bool {
	return now.Sub(k.at) > StaleAfter || now.Round(0).Sub(k.at.Round(0)) > StaleAfter
}

// New returns a watcher that knows nothing yet.
func New(config Config) *Watcher {
	return &Watcher{config: config, of: service{config.Namespace, config.Service}, problem: cmp.Or(config.Fault, errNotYet)}
}

// Start begins to watch, in the background.
func (w *Watcher) Start() {
	if w.config.Fault != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.wait.Go(func() { w.run(ctx) })
}

// Close ends the watch and waits for that. What is known goes stale: requests that came before may
// still ask.
func (w *Watcher) Close() {
	if w.cancel != nil {
		w.cancel()
		w.wait.Wait()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.look != nil {
		w.look.Stop()
	}
}

// Ranges are the addresses that count, as ranges of one address each. The caller does not change
// them. It takes no lock, and does not wait.
func (w *Watcher) Ranges(now time.Time) []netip.Prefix {
	known := w.current.Load()
	if known == nil || known.refused != nil || known.stale(now) {
		return nil
	}
	return known.ranges
}

// Unavailable says why it is not known which addresses count; nil if it is known, also if there
// is none.
func (w *Watcher) Unavailable(now time.Time) error {
	if err := w.why(now); err != nil {
		return fmt.Errorf("the endpoints of %s/%s are not known: %w", w.of.namespace, w.of.name, err)
	}
	return nil
}

// why is the cause of Unavailable.
func (w *Watcher) why(now time.Time) error {
	known := w.current.Load()
	switch {
	case known == nil:
		return cmp.Or(w.Problem(), errNotYet)
	case known.refused != nil:
		return known.refused
	case !known.stale(now):
		return nil
	}
	err := fmt.Errorf("the API server was last heard at %s", known.at.UTC().Format(time.RFC3339))
	if problem := w.Problem(); problem != nil {
		err = fmt.Errorf("%w: %w", err, problem)
	}
	return err
}

// Problem is why the last attempt to watch failed; nil while the watch is there.
func (w *Watcher) Problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

// Loaded says whether the addresses were known at some time.
func (w *Watcher) Loaded() bool { return w.was.Load() }

// Heard is when the API server last confirmed the addresses; the zero time if it never did.
func (w *Watcher) Heard() time.Time {
	if known := w.current.Load(); known != nil {
		return known.at
	}
	return time.Time{}
}

// publish makes the addresses of all slices those that count.
func (w *Watcher) publish(all known) {
	ranges, err := all.ranges(w.config.Hosts)
	before := w.current.Load()
	w.store(&knowledge{ranges, err, time.Now()})
	if w.config.OnChange != nil && err == nil && (before == nil || !slices.Equal(before.ranges, ranges)) {
		w.config.OnChange(len(ranges))
	}
}

// refuse says that there are addresses, and none of them counts.
func (w *Watcher) refuse(err error) { w.store(&knowledge{refused: err, at: time.Now()}) }

// confirm says that the API server would have told by now of a change.
func (w *Watcher) confirm() {
	if before := w.current.Load(); before != nil {
		w.store(&knowledge{before.ranges, before.refused, time.Now()})
	}
}

// store looks again when the knowledge will be stale, so that its end is noticed without a
// request.
func (w *Watcher) store(next *knowledge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current.Store(next)
	if next.refused == nil {
		w.was.Store(true)
	}
	if w.look == nil {
		w.look = time.AfterFunc(StaleAfter+time.Millisecond, w.lookAgain)
	} else {
		w.look.Reset(StaleAfter + time.Millisecond)
	}
	w.tell(next.refused)
}

func (w *Watcher) lookAgain() {
	err := w.why(time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.tell(err)
	}
}

// tell tells of transitions: that the first addresses count is not one.
func (w *Watcher) tell(err error) {
	if lost := err != nil; lost != w.lost {
		w.lost = lost
		if w.config.OnUse != nil {
			w.config.OnUse(err)
		}
	}
}
