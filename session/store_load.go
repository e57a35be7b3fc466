// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// loading is a session that is being loaded.
type loading struct {
	done    chan struct{}
	session *Session
	err     error
}

// load loads a session from the storage. Requests for the same session share one load, which
// does not end with the request that began it.
func (st *Store) load(ctx context.Context, t *ticket, wait time.Duration) (*Session, error) {
	st.mu.Lock()
	flight := st.flights[t.id]
	if flight == nil {
		flight = &loading{done: make(chan struct{})}
		st.flights[t.id] = flight
		go st.fly(context.WithoutCancel(ctx), t, flight)
	}
	st.mu.Unlock()
	timer := time.NewTimer(wait)
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
		st.forget(t.id)
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
