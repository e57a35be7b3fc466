// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
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

	// storeGlance is how long a request waits whose session is kept here, and storeAgain how
	// long it takes until another one does: a storage that hangs must not slow down each
	// request. It is storeUnsaved for tokens that could not be stored: other instances need them.
	storeGlance  = time.Second
	storeAgain   = 10 * time.Second
	storeUnsaved = 2 * time.Second

	// storeGone is how long a ticket without a session is remembered: a page may go on asking
	// after a logout. It is short, since a storage may show late what another instance wrote.
	storeGone = 5 * time.Second
)

// Store keeps sessions in a storage that instances share, and tickets in cookies: for sessions
// that are too large for cookies, and for issuers that let a refresh token be used once. It is
// safe for concurrent use.
type Store struct {
	jar     *Jar
	storage Storage

	mu      sync.Mutex // not held while the storage is asked
	loaded  *lru.Cache[ticketID, loaded]
	gone    *lru.Cache[ticketID, time.Time] // tickets without a session, and since when
	flights map[ticketID]*loading
}

type ticketID [idSize]byte

type loaded struct {
	session *Session
	at      time.Time // when it was last known to be what the storage has
	looked  time.Time // when a request has waited for the storage since
}

// NewStore makes a store whose cookies are those of a jar.
func NewStore(jar *Jar, storage Storage) *Store {
	return &Store{
		jar: jar, storage: storage,
		loaded: lru.New[ticketID, loaded](4096), gone: lru.New[ticketID, time.Time](4096), flights: make(map[ticketID]*loading),
	}
}

// Open implements [Keeper]. Its errors are those of [Jar.Open] and [ErrNotStored].
func (st *Store) Open(ctx context.Context, lines []string, site Site, now time.Time) (*Session, error) {
	t, err := openIn(ctx, st.jar, purposeTicket, lines, site, decodeTicket)
	if err != nil {
		return nil, err
	}
	s, err := st.current(ctx, t, now)
	if err != nil {
		return nil, err
	}
	c := *s
	c.ticket, c.Used = t, t.used
	if err := st.jar.limits.Check(&c, now); err != nil {
		return nil, err
	}
	return &c, nil
}

// current returns the session of a ticket: the one that is kept here, or that of the storage if
// that was looked at long ago.
func (st *Store) current(ctx context.Context, t *ticket, now time.Time) (*Session, error) {
	kept, look, err := st.kept(t, now)
	switch {
	case err != nil || !look:
		return kept, err
	case kept == nil:
		return st.load(ctx, t, storeWait)
	}
	s, err := st.load(ctx, t, storeGlance)
	if errors.Is(err, identity.ErrUnavailable) { // it may be down for longer; the ID token's end is near
		return kept, nil
	}
	return s, err
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
	st.forget(s.ticket.id)
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
	now, err := st.load(ctx, s.ticket, storeWait)
	if err != nil {
		return nil, err
	}
	c := *now
	c.ticket, c.Used = s.ticket, s.Used
	return &c, nil
}

// kept returns the session that is kept here, if there is one, and whether this request should
// look at the storage.
func (st *Store) kept(t *ticket, now time.Time) (s *Session, look bool, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if kept := st.loaded.Get(t.id); kept != nil && kept.session.ticket.secret == t.secret {
		again := storeAgain
		if kept.at.IsZero() {
			again = storeUnsaved
		}
		if now.Sub(kept.at) < storeFresh || now.Sub(kept.looked) < again {
			return kept.session, false, nil
		}
		kept.looked = now
		return kept.session, true, nil
	}
	if since := st.gone.Get(t.id); since != nil && now.Sub(*since) < storeGone {
		return nil, false, ErrNotStored
	}
	return nil, true, nil
}

// forget forgets a session that is not in the storage any more.
func (st *Store) forget(id ticketID) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.loaded.Remove(id)
	st.gone.Put(id, time.Now())
}

// keep keeps a session, except beside a newer one. The time is zero for one that the storage
// does not have yet.
func (st *Store) keep(s *Session, at time.Time) (newest *Session) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if kept := st.loaded.Get(s.ticket.id); kept != nil && kept.session.version > s.version {
		return kept.session
	}
	st.loaded.Put(s.ticket.id, loaded{session: s, at: at})
	return s
}
