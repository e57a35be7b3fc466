// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// maxDenials is how many denials a list has.
const maxDenials = 1 << 17

// errNoList says that the denials of other instances are not known.
var errNoList = fmt.Errorf("%w: the list of sessions that were logged out could not be read yet", identity.ErrUnavailable)

// DenyList knows the sessions that were logged out: without it, a copy of the cookie would live
// on. It ends their streams too. Make one with [NewDenyList]. It is safe for concurrent use.
type DenyList struct {
	storage Storage // nil: this process alone

	mu      sync.Mutex // not held while the storage is asked
	ready   bool       // the storage was read once
	denials map[denied]times
	limit   int
	pending map[denied]struct{} // not in the storage yet
	streams map[*stream]struct{}

	// floor replaces denials for which there was no room: all sessions that end by then are
	// denied. A flood of logouts makes users log in again, and opens no session that was
	// logged out.
	floor time.Time
}

// times are those of a denial.
type times struct{ before, ends time.Time }

// stream is a response under way.
type stream struct {
	of      []denied
	created time.Time
	end     func()
}

// NewDenyList makes an empty list. The storage is shared with other instances by
// [DenyList.Run]; without it, the list is of this process alone.
func NewDenyList(storage Storage) *DenyList {
	return &DenyList{
		storage: storage, ready: storage == nil, limit: maxDenials,
		denials: make(map[denied]times), pending: make(map[denied]struct{}), streams: make(map[*stream]struct{}),
	}
}

// Check returns [ErrDenied] for a session that was logged out, and an error that wraps
// [identity.ErrUnavailable] while the other instances' denials have never been read.
func (l *DenyList) Check(f Facts, now time.Time) error {
	if l.isEmpty() { // most of the time: three hashes are saved
		return nil
	}
	of := f.subjects()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkLocked(of, f, now)
}

func (l *DenyList) isEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready && len(l.denials) == 0 && l.floor.IsZero()
}

func (l *DenyList) checkLocked(of []denied, f Facts, now time.Time) error {
	if !l.ready {
		return errNoList
	}
	if !l.floor.IsZero() && !f.Ends.After(l.floor) {
		return ErrDenied
	}
	for _, what := range of {
		if t, ok := l.denials[what]; ok && now.Before(t.ends) && t.covers(what, f.Created) {
			return ErrDenied
		}
	}
	return nil
}

// covers says whether a denial is about a session of this age. Sessions have whole seconds, so
// that one of the very second of the logout is denied too.
func (t times) covers(what denied, created time.Time) bool {
	return what.kind != deniesSubject || !created.After(t.before)
}

// CheckToken returns [ErrDenied] for a token that was denied as a bearer token.
func (l *DenyList) CheckToken(token string, now time.Time) error {
	what := deny(deniesToken, token)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		return errNoList
	}
	if t, ok := l.denials[what]; ok && now.Before(t.ends) {
		return ErrDenied
	}
	return nil
}

// Watch calls end, once at most, when the session is logged out, until release is called. It
// fails as [DenyList.Check] does for a session that was logged out before.
func (l *DenyList) Watch(f Facts, now time.Time, end func()) (release func(), err error) {
	s := &stream{of: f.subjects(), created: f.Created, end: end}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkLocked(s.of, f, now); err != nil {
		return nil, err
	}
	l.streams[s] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.streams, s)
	}, nil
}

// EndStreams ends the streams of a session in this process, without denying it: when the issuer
// does not refresh it any more, another instance may have a newer token of the same session.
func (l *DenyList) EndStreams(id string) {
	what := deny(deniesSession, id)
	l.mu.Lock()
	ends := l.takeStreamsLocked(func(s *stream) bool { return slices.Contains(s.of, what) })
	l.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// takeStreamsLocked removes streams, and returns what ends them.
func (l *DenyList) takeStreamsLocked(match func(*stream) bool) (ends []func()) {
	for s := range l.streams {
		if match(s) {
			delete(l.streams, s)
			ends = append(ends, s.end)
		}
	}
	return ends
}

// add adds denials and ends their streams. The streams are ended without the lock, since the
// functions that end them may wait.
func (l *DenyList) add(denials []Denial, now time.Time) {
	fresh := make(map[denied]times)
	l.mu.Lock()
	for _, d := range denials {
		old, known := l.denials[d.what]
		if known && !d.ends.After(old.ends) && !d.before.After(old.before) || !now.Before(d.ends) {
			continue
		}
		if !known && len(l.denials) >= l.limit {
			l.makeRoomLocked(now)
		}
		t := times{later(old.before, d.before), later(old.ends, d.ends)}
		l.denials[d.what], fresh[d.what] = t, t
	}
	var ends []func()
	if len(fresh) > 0 {
		ends = l.takeStreamsLocked(func(s *stream) bool {
			return slices.ContainsFunc(s.of, func(what denied) bool {
				t, ok := fresh[what]
				return ok && t.covers(what, s.created)
			})
		})
	}
	l.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// makeRoomLocked removes the denials that have ended, or else the sixteenth that ends first.
func (l *DenyList) makeRoomLocked(now time.Time) {
	l.dropEndedLocked(now)
	if len(l.denials) < l.limit {
		return
	}
	all := slices.SortedFunc(maps.Keys(l.denials), func(a, b denied) int {
		return cmp.Compare(l.denials[a].ends.Unix(), l.denials[b].ends.Unix())
	})
	for _, what := range all[:l.limit/16+1] {
		if what.kind != deniesToken { // tokens expire soon, and are not sessions
			l.floor = later(l.floor, l.denials[what].ends)
		}
		l.dropLocked(what)
	}
}

func (l *DenyList) dropEndedLocked(now time.Time) {
	for what, t := range l.denials {
		if !now.Before(t.ends) {
			l.dropLocked(what)
		}
	}
}

func (l *DenyList) dropLocked(what denied) {
	delete(l.denials, what)
	delete(l.pending, what)
}
