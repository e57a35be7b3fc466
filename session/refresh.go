// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

const (
	refreshMargin  = time.Minute
	refreshWait    = 5 * time.Second  // how long a request waits
	grantTimeout   = 10 * time.Second // how long the issuer may take
	flightTimeout  = time.Minute      // with the storage, and with waiting for other flights
	keepRefreshed  = time.Minute      // for requests that still bring the old tokens
	keepFailure    = 10 * time.Second
	maxGrants      = 64      // at the issuer at once
	maxFlights     = 1 << 14 // under way at once
	maxRemembered  = 1 << 14 // results, ended sessions, and sessions without a new ID token
	newerPoll      = 250 * time.Millisecond
	newerAfterEnd  = 3 * time.Second // another instance may be about to store what it got
	newerAfterLoss = claimAge
)

// Grant asks the issuer for new tokens, verifies them, and returns the session with them. The
// error wraps [ErrEnded] if the issuer says that the grant is over (invalid_grant), or if the
// new ID token proves nothing. With any other error the session lives on.
type Grant func(ctx context.Context, s *Session) (*Session, error)

// RefreshConfig says how sessions are refreshed.
type RefreshConfig struct {
	Keeper Keeper

	// Margin is how long before its end an ID token is replaced. Zero is the larger of a minute
	// and a fifth of the token's life.
	Margin time.Duration

	// OnDone is called once for each grant or its failure, with the session as it was and how
	// long it took. It may be nil.
	OnDone func(s *Session, took time.Duration, err error)

	// OnProblem is called when a refreshed session could not be stored; it is tried again. It
	// may be nil.
	OnProblem func(message string, err error)
}

// Refresher gets new tokens for sessions, once for all requests that need them. It outlives a
// reload of the configuration, or the results under way would be lost. It is safe for
// concurrent use.
type Refresher struct {
	config RefreshConfig
	hasher *hasher
	grants chan struct{}

	mu      sync.Mutex // not held while anything is fetched
	flights map[sum]*Flight
	done    *lru.Cache[sum, *Flight]  // results, for a while
	ended   *lru.Cache[sum, struct{}] // tokens that the issuer will never take again
	stuck   *lru.Cache[sum, struct{}] // ID tokens that a refresh did not replace
}

// NewRefresher makes a refresher.
func NewRefresher(config RefreshConfig) *Refresher {
	return &Refresher{
		config: config, hasher: newHasher(), grants: make(chan struct{}, maxGrants), flights: make(map[sum]*Flight),
		done:  lru.New[sum, *Flight](maxRemembered),
		ended: lru.New[sum, struct{}](maxRemembered),
		stuck: lru.New[sum, struct{}](maxRemembered),
	}
}

// Due says whether an ID token should be replaced. Within the margin the moment is drawn by
// process and session, so that instances do not refresh one session together.
func (r *Refresher) Due(s *Session, issued, expires, now time.Time) bool {
	if s.RefreshToken == "" {
		return false
	}
	life := max(expires.Sub(issued), 0)
	margin := r.config.Margin
	if margin <= 0 {
		margin = max(refreshMargin, life/5)
	}
	margin = min(margin, life/2) // or a short token would always be due
	drawn := r.hasher.sum("due", s.ID)
	part := time.Duration(binary.BigEndian.Uint16(drawn[:]))
	return expires.Sub(now) < margin/2+margin/2/(1<<16-1)*part
}

// Refreshed is what a request goes on with.
type Refreshed struct {
	Session *Session

	// Fresh says that the session was refreshed, and its cookie has to be written.
	Fresh bool

	// Flight is a refresh that is still under way, or nil.
	Flight *Flight
}

// Flight is a refresh under way.
type Flight struct {
	done    chan struct{}
	session *Session
	err     error
	until   time.Time // how long the result is kept
}

// Poll returns the refreshed session if it is there, such as when the header of a response is
// written, and nil if not.
func (f *Flight) Poll() *Session {
	select {
	case <-f.done:
		return f.session
	default:
		return nil
	}
}

// Refresh gets new tokens for a session whose ID token is due. The first request waits up to
// five seconds, the others only if the ID token has expired: an old one that still lives goes
// on being used. The end of a request does not stop the refresh, or the tokens that it brings
// would be lost.
//
// The error wraps [ErrEnded] if the session is over, or [identity.ErrUnavailable] if the ID
// token has expired and the issuer did not answer.
func (r *Refresher) Refresh(ctx context.Context, s *Session, expires, now time.Time, grant Grant) (Refreshed, error) {
	live := now.Before(expires)
	flight, leads, err := r.flight(ctx, s, live, now, grant)
	switch {
	case errors.Is(err, ErrEnded):
		return Refreshed{}, err
	case err != nil && live:
		return Refreshed{Session: s}, nil // the old token serves until it expires
	case err != nil:
		return Refreshed{}, err
	case leads || !live:
		if err := flight.wait(ctx); err != nil && !live {
			return Refreshed{}, err
		}
	}
	select {
	case <-flight.done:
	default:
		return Refreshed{Session: s, Flight: flight}, nil
	}
	switch {
	case flight.err == nil:
		return Refreshed{Session: flight.session, Fresh: true}, nil
	case live && !errors.Is(flight.err, ErrEnded):
		return Refreshed{Session: s}, nil
	}
	return Refreshed{}, flight.err
}

// wait waits for a flight, but no longer than a request may.
func (f *Flight) wait(ctx context.Context) error {
	timer := time.NewTimer(refreshWait)
	defer timer.Stop()
	select {
	case <-f.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the issuer did not refresh the session in time", identity.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("%w: waiting for the session's refresh: %w", identity.ErrUnavailable, ctx.Err())
	}
}

// key is of the tokens of a session. The ID token counts too: an issuer may give the same refresh
// token again.
func (r *Refresher) key(s *Session) sum {
	return r.hasher.sum("tokens", s.ID, s.RefreshToken, s.IDToken)
}

// maxNewer is how many refreshes of one session are followed.
const maxNewer = 8

// Newest returns the session with the tokens that have replaced these in the last minute, or as
// it is. A response that was slow to begin would put spent tokens into the browser otherwise, over
// those that another response has brought meanwhile.
func (r *Refresher) Newest(s *Session) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range maxNewer {
		flight := r.done.Get(r.key(s))
		if flight == nil || (*flight).session == nil {
			break
		}
		s = (*flight).session
	}
	return s
}

// flight returns the flight for the tokens of a session, and whether it began for this request.
func (r *Refresher) flight(ctx context.Context, s *Session, live bool, now time.Time, grant Grant) (flight *Flight, leads bool, err error) {
	key, without := r.key(s), r.hasher.sum("stuck", s.ID, s.IDToken)
	r.mu.Lock()
	defer r.mu.Unlock()
	if flight := r.flights[key]; flight != nil {
		return flight, false, nil
	}
	if flight := r.done.Get(key); flight != nil && now.Before((*flight).until) {
		return *flight, false, nil
	}
	switch {
	case s.RefreshToken == "":
		return nil, false, fmt.Errorf("%w: it has no refresh token", ErrEnded)
	case r.ended.Get(key) != nil:
		return nil, false, fmt.Errorf("%w: it refused the refresh token before", ErrEnded)
	case r.stuck.Get(without) != nil && live:
		return nil, false, fmt.Errorf("%w: the issuer refreshes without a new id token", identity.ErrUnavailable)
	case r.stuck.Get(without) != nil:
		return nil, false, fmt.Errorf("%w: it refreshes without a new id token", ErrEnded)
	case len(r.flights) >= maxFlights:
		return nil, false, fmt.Errorf("%w: %d sessions are being refreshed", identity.ErrUnavailable, maxFlights)
	}
	flight = &Flight{done: make(chan struct{})}
	r.flights[key] = flight
	go r.fly(context.WithoutCancel(ctx), s, key, without, flight, grant)
	return flight, true, nil
}
