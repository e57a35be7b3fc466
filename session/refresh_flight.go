// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// fly gets new tokens, and remembers what came of it.
func (r *Refresher) fly(ctx context.Context, s *Session, key, without sum, flight *Flight, grant Grant) {
	ctx, cancel := context.WithTimeout(ctx, flightTimeout)
	defer cancel()
	began := time.Now()
	refreshed, err := r.attempt(ctx, s, grant)
	if err != nil {
		refreshed = nil
	}
	r.mu.Lock()
	delete(r.flights, key)
	flight.session, flight.err = refreshed, err
	switch {
	case err == nil:
		r.keep(key, flight, keepRefreshed)
		if refreshed.IDToken == s.IDToken {
			r.stuck.Put(without, struct{}{})
		}
	case errors.Is(err, ErrEnded):
		r.ended.Put(key, struct{}{})
	default:
		r.keep(key, flight, keepFailure)
	}
	r.mu.Unlock()
	close(flight.done)
	if r.config.OnDone != nil {
		r.config.OnDone(s, time.Since(began), err)
	}
}

// keep keeps a result for a while, and no longer: it holds tokens. The caller holds the lock.
func (r *Refresher) keep(key sum, flight *Flight, age time.Duration) {
	flight.until = time.Now().Add(age)
	r.done.Put(key, flight)
	time.AfterFunc(age, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if kept := r.done.Get(key); kept != nil && *kept == flight {
			r.done.Remove(key)
		}
	})
}

// errUnavailable gives an error of the storage's or the issuer's its sentinel.
func errUnavailable(err error) error {
	if errors.Is(err, ErrEnded) || identity.IsRefusal(err) {
		return err
	}
	return fmt.Errorf("%w: refreshing a session: %w", identity.ErrUnavailable, err)
}

// attempt gets new tokens: those that another instance has stored, or the issuer's.
func (r *Refresher) attempt(ctx context.Context, s *Session, grant Grant) (refreshed *Session, err error) {
	defer func() {
		if err != nil {
			err = errUnavailable(err)
		}
	}()
	defer identity.Recovered(&err, identity.ErrInternal, "refreshing a session")
	select {
	case r.grants <- struct{}{}:
		defer func() { <-r.grants }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	newer, release, err := r.claim(ctx, s)
	if newer != nil || err != nil {
		return newer, err
	}
	defer release()
	// The instance that had the claim may have stored its tokens between two looks.
	if newer, err := r.newer(ctx, s); newer != nil || err != nil {
		return newer, err
	}
	return r.ask(ctx, s, grant)
}

// claim waits until this instance may refresh a session, or another one has done so. If the
// storage is down no token is used, whose successor could not be stored.
func (r *Refresher) claim(ctx context.Context, s *Session) (newer *Session, release func(), err error) {
	for began := time.Now(); ; sleep(ctx, newerPoll) {
		if newer, err := r.newer(ctx, s); newer != nil || err != nil {
			return newer, nil, err
		}
		mine, release, err := r.config.Keeper.claim(ctx, s)
		switch {
		case err != nil:
			return nil, nil, err
		case mine:
			return nil, release, nil
		case time.Since(began) >= newerAfterLoss: // the other instance does not get on
			return nil, func() {}, nil
		}
	}
}

// ask asks the issuer, and stores what it gave.
func (r *Refresher) ask(ctx context.Context, s *Session, grant Grant) (*Session, error) {
	asking, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	refreshed, err := grant(asking, s)
	if errors.Is(err, ErrEnded) && s.ticket != nil {
		// Another instance may have used the token a moment ago.
		if newer, newerErr := r.awaitNewer(ctx, s); newerErr == nil && newer != nil {
			return newer, nil
		}
	}
	if err != nil {
		return nil, err
	}
	saved, err := r.config.Keeper.Save(ctx, refreshed)
	if err != nil && saved != nil { // the tokens are good, and this instance has them
		if r.config.OnProblem != nil {
			r.config.OnProblem("a refreshed session could not be stored", err)
		}
		return saved, nil
	}
	return saved, err
}

// newer returns the session with other tokens, if another instance has refreshed it.
func (r *Refresher) newer(ctx context.Context, s *Session) (*Session, error) {
	now, err := r.config.Keeper.Reload(ctx, s)
	switch {
	case errors.Is(err, identity.ErrAbsent): // it was logged out
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	case err != nil:
		return nil, err
	case now.IDToken != s.IDToken || now.RefreshToken != s.RefreshToken:
		return now, nil
	}
	return nil, nil
}

// awaitNewer asks for a while whether another instance has refreshed the session.
func (r *Refresher) awaitNewer(ctx context.Context, s *Session) (*Session, error) {
	for began := time.Now(); time.Since(began) < newerAfterEnd && ctx.Err() == nil; sleep(ctx, newerPoll) {
		if newer, err := r.newer(ctx, s); newer != nil || err != nil {
			return newer, err
		}
	}
	return nil, nil
}
