// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

const (
	// storeFresh is how long a session is used without looking whether another instance has
	// refreshed it. One whose refresh is due is always looked for, and a logout is known by the
	// deny list.
	storeFresh = time.Minute

	storeWait = 5 * time.Second // how long a request waits for the storage
)

// Store keeps sessions in a storage that instances share, and tickets in cookies: for sessions
// that are too large for cookies, and for issuers that let a refresh token be used once. It is
// safe for concurrent use.
type Store struct {
	jar     *Jar
	storage Storage

	mu      sync.Mutex // not held while the storage is asked
	loaded  *lru.Cache[ticketID, loaded]
	flights map[ticketID]*loading
}

type ticketID [idSize]byte

type loaded struct {
	session *Session
	at      time.Time // when it was last known to be what the storage has
}

type loading struct {
	done    chan struct{}
	session *Session
	err     error
}

// NewStore makes a store whose cookies are those of a jar.
func NewStore(jar *Jar, storage Storage) *Store {
	return &Store{
		jar: jar, storage: storage,
		loaded: lru.New[ticketID, loaded](4096), flights: make(map[ticketID]*loading),
	}
}

// Open implements [Keeper]. Its errors are those of [Jar.Open] and [ErrNotStored].
func (st *Store) Open(ctx context.Context, lines []string, site Site, now time.Time) (*Session, error) {
	t, err := openIn(ctx, st.jar, purposeTicket, lines, site, decodeTicket)
	if err != nil {
		return nil, err
	}
	kept := st.kept(t)
	s := kept.session
	if s == nil || now.Sub(kept.at) >= storeFresh {
		if s, err = st.load(ctx, t); err != nil {
			// The storage may be down for longer than a minute; the ID token's end is near.
			if kept.session == nil || !errors.Is(err, identity.ErrUnavailable) {
				return nil, err
			}
			s = kept.session
		}
	}
	c := *s
	c.ticket, c.Used = t, t.used
	if err := st.jar.limits.Check(&c, now); err != nil {
		return nil, err
	}
	return &c, nil
}

// Add implements [Keeper]. The ticket is new at each login: one from before it could have been
// planted (oauth2-proxy keeps the ticket that the request brought, issue 3252).
func (st *Store) Add(ctx context.Context, s *Session) (*Session, error) {
	c := *s
	c.ticket, c.version = newTicket(st.jar.limits.End(s)), 0
	return st.Save(ctx, &c)
}

// Seal implements [Keeper].
func (st *Store) Seal(s *Session, site Site, now time.Time) ([]string, error) {
	if s.ticket == nil {
		return nil, errNotAdded
	}
	return st.jar.seal(purposeTicket, s.ticket.encode(s.Used), s, site, now)
}

// errNotAdded is a mistake of the caller's.
var errNotAdded = fmt.Errorf("%w: the session has no place in the store", identity.ErrInternal)

// Save implements [Keeper]. The end of the request does not stop it. Until the storage has the
// session, this instance goes on with it, and tries again when it is opened.
func (st *Store) Save(ctx context.Context, s *Session) (*Session, error) {
	if s.ticket == nil {
		return nil, errNotAdded
	}
	c := *s
	c.version++
	st.keep(&c, time.Time{})
	return &c, st.write(ctx, &c)
}

func (st *Store) write(ctx context.Context, s *Session) error {
	sealed, err := st.jar.sealStored(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
	defer cancel()
	if err := st.storage.Store(ctx, path.Join(storageSessions, s.ticket.name()), sealed); err != nil {
		return fmt.Errorf("%w: storing a session: %w", identity.ErrUnavailable, err)
	}
	st.keep(s, time.Now())
	return nil
}

// Remove implements [Keeper].
func (st *Store) Remove(ctx context.Context, s *Session) error {
	if s.ticket == nil {
		return errNotAdded
	}
	st.mu.Lock()
	st.loaded.Remove(s.ticket.id)
	st.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
	defer cancel()
	if err := st.storage.Delete(ctx, path.Join(storageSessions, s.ticket.name())); err != nil {
		return fmt.Errorf("deleting a session: %w", err)
	}
	return nil
}

// End implements [Keeper].
func (st *Store) End(lines []string, site Site) []string { return st.jar.End(lines, site) }

// Reload implements [Keeper].
func (st *Store) Reload(ctx context.Context, s *Session) (*Session, error) {
	if s.ticket == nil {
		return nil, errNotAdded
	}
	now, err := st.load(ctx, s.ticket)
	if err != nil {
		return nil, err
	}
	c := *now
	c.ticket, c.Used = s.ticket, s.Used
	return &c, nil
}

func (st *Store) kept(t *ticket) loaded {
	st.mu.Lock()
	defer st.mu.Unlock()
	if kept := st.loaded.Get(t.id); kept != nil && kept.session.ticket.secret == t.secret {
		return *kept
	}
	return loaded{}
}

// keep keeps a session, except beside a newer one. The time is zero for one that the storage
// does not have yet.
func (st *Store) keep(s *Session, at time.Time) (newest *Session) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if kept := st.loaded.Get(s.ticket.id); kept != nil && kept.session.version > s.version {
		return kept.session
	}
	st.loaded.Put(s.ticket.id, loaded{s, at})
	return s
}

// load loads a session from the storage. Requests for the same session share one load, which
// does not end with the request that began it.
func (st *Store) load(ctx context.Context, t *ticket) (*Session, error) {
	st.mu.Lock()
	flight := st.flights[t.id]
	if flight == nil {
		flight = &loading{done: make(chan struct{})}
		st.flights[t.id] = flight
		go st.fly(context.WithoutCancel(ctx), t, flight)
	}
	st.mu.Unlock()
	timer := time.NewTimer(storeWait)
	defer timer.Stop()
	select {
	case <-flight.done:
		return flight.session, flight.err
	case <-timer.C:
		return nil, fmt.Errorf("%w: the storage did not return a session in time", identity.ErrUnavailable)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for the storage: %w", identity.ErrUnavailable, ctx.Err())
	}
}

func (st *Store) fly(ctx context.Context, t *ticket, flight *loading) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	flight.session, flight.err = st.read(ctx, t)
	st.mu.Lock()
	delete(st.flights, t.id)
	st.mu.Unlock()
	close(flight.done)
}

// read reads a session, and returns a newer one that could not be written before.
func (st *Store) read(ctx context.Context, t *ticket) (s *Session, err error) {
	defer identity.Recovered(&err, identity.ErrInternal, "reading a session from the storage")
	sealed, err := st.storage.Load(ctx, path.Join(storageSessions, t.name()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotStored
	case err != nil:
		return nil, fmt.Errorf("%w: loading a session: %w", identity.ErrUnavailable, err)
	case len(sealed) < keyIDSize+boxExtra:
		return nil, ErrUnreadable
	}
	k, err := st.jar.keys.find(ctx, keyID(sealed[:keyIDSize]))
	if err != nil {
		return nil, err
	}
	if s, err = st.jar.openStored(k, t, sealed); err != nil {
		return nil, err
	}
	if newest := st.keep(s, time.Now()); newest != s {
		return newest, st.write(ctx, newest)
	}
	return s, nil
}
