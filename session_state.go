// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// sessionStates holds what outlives a configuration, by a hash of what it depends on: after a
// reload no refresh under way is lost, and no session that was logged out lives again.
var sessionStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// sessionState is what handlers with the same settings share.
type sessionState struct {
	jar        *session.Jar
	keeper     session.Keeper
	keys       *session.Keys
	denied     *session.DenyList
	replays    *codeflow.Replays             // of logout tokens
	refreshers map[string]*session.Refresher // by the key of their login

	cancel  context.CancelFunc
	working sync.WaitGroup // on the storage
	needed  chan struct{}  // closed when a request needs it
	once    sync.Once
	known   atomic.Bool // the storage was read once

	mu      sync.Mutex
	members []*membership // of configurations; the last one is in force
}

// membership is one configuration's part in a state: what must not outlive it.
type membership struct {
	state   *sessionState
	storage session.Storage
	logger  *zap.Logger
	metrics *guest.Metrics
	sources map[string]string // their names, by the key of their login
}

// Destruct implements caddy.Destructor. Work on the storage ends at once: the storage may be
// closed with its configuration. Keys and denials stay in memory for requests under way.
func (s *sessionState) Destruct() error {
	s.cancel()
	ended := make(chan struct{})
	go func() {
		s.working.Wait()
		close(ended)
	}()
	timer := time.NewTimer(2 * time.Second) // a storage may hang
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	return nil
}

// acquireSessions finds or makes the state for these settings, and joins it.
func (h *Handler) acquireSessions(ctx caddy.Context, all logins) (*sessionState, error) {
	if h.Session.KeyFile != "" { // checked even if an earlier configuration has read it well
		if _, err := session.KeysFromFile(h.Session.KeyFile, nil); err != nil {
			return nil, err
		}
	}
	settings := *h.Session // those on which the state does not depend may change
	settings.Path, settings.PostLogoutURL, settings.InsecureHTTP = "", "", false
	settings.BackChannelLogout, settings.KeepFragment = false, false
	storage, place, err := h.sessionStorage(ctx)
	if err != nil {
		return nil, err
	}
	key, err := guest.StateKey("session", settings, append(all.state(), place)...)
	if err != nil {
		return nil, err
	}
	value, _, err := sessionStates.LoadOrNew(key, func() (caddy.Destructor, error) { return newSessionState(h.Session, all) })
	if err != nil {
		return nil, err
	}
	h.sessionKey = key
	state := value.(*sessionState)
	h.membership = &membership{state: state, storage: storage, logger: h.logger, metrics: h.metrics, sources: all.labels()}
	state.mu.Lock()
	defer state.mu.Unlock()
	state.members = append(state.members, h.membership)
	return state, nil
}

func (m *membership) leave() {
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	m.state.members = slices.DeleteFunc(m.state.members, func(other *membership) bool { return other == m })
}

// current is the membership of the configuration that was loaded last.
func (s *sessionState) current() *membership {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.members) == 0 {
		return nil
	}
	return s.members[len(s.members)-1]
}

// newSessionState begins to read the storage soon, or when a request needs it, and not at once:
// a configuration that is only validated writes nothing.
func newSessionState(options *Session, all logins) (*sessionState, error) {
	s := &sessionState{needed: make(chan struct{})}
	storage := sharedStorage{s}
	run := func(context.Context) {}
	var err error
	if options.KeyFile != "" {
		s.keys, err = session.KeysFromFile(options.KeyFile, s.problem)
	} else {
		s.keys, run = session.KeysFromStorage(storage, time.Duration(options.Lifetime), s.problem)
	}
	if err != nil {
		return nil, err
	}
	s.denied, s.replays = session.NewDenyList(storage), codeflow.NewReplays()
	s.jar, err = session.NewJar(session.JarConfig{
		Keys: s.keys, Limits: options.limits(), Name: options.CookieName, Domain: options.CookieDomain, FormPost: all.formPost(),
	})
	if err != nil {
		return nil, err
	}
	s.keeper = newKeeper(options, s.jar, storage)
	s.refreshers = make(map[string]*session.Refresher)
	for _, l := range all {
		s.refreshers[l.Key] = session.NewRefresher(session.RefreshConfig{
			Keeper: s.keeper, Margin: l.Margin, OnDone: s.refreshed, OnProblem: s.problem,
		})
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	for _, work := range []func(context.Context){
		run,
		func(ctx context.Context) { s.denied.Run(ctx, s.problem) },
		func(ctx context.Context) { session.Sweep(ctx, storage, s.problem) },
	} {
		s.working.Go(func() {
			timer := time.NewTimer(time.Second)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-s.needed:
			case <-ctx.Done():
				return
			}
			work(ctx)
		})
	}
	return s, nil
}

// ready waits, for two seconds at most, for the first reading of the storage.
func (s *sessionState) ready(ctx context.Context) {
	if s.isReady() {
		return
	}
	s.once.Do(func() { close(s.needed) })
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range 400 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if s.isReady() {
			return
		}
	}
}

func (s *sessionState) isReady() bool {
	if s.known.Load() {
		return true
	}
	ready := s.keys.Ready() && !errors.Is(s.denied.Check(session.Facts{}, time.Time{}), identity.ErrUnavailable)
	s.known.Store(ready)
	return ready
}

// problem logs what happens in the background.
func (s *sessionState) problem(message string, err error) {
	logger := caddy.Log().Named("http.handlers.kube_identity")
	if m := s.current(); m != nil {
		logger = m.logger
	}
	logger.Warn(message, zap.Error(err))
}

// refreshed counts and logs a refresh. An error ends the streams of its session, if the session
// has ended.
func (s *sessionState) refreshed(before *session.Session, took time.Duration, err error) {
	if errors.Is(err, session.ErrEnded) {
		s.denied.EndStreams(before.ID)
	}
	s.removeDenied(before)
	m := s.current()
	if m == nil {
		return
	}
	result, source := "ok", m.sources[before.Source]
	switch {
	case errors.Is(err, session.ErrEnded):
		result = "ended"
		m.logger.Warn("session not refreshed", zap.String("source", source), zap.String("session", shortID(before.ID)), zap.Error(err))
	case err != nil:
		result = "unavailable"
		m.logger.Error("session not refreshed", zap.String("source", source), zap.String("session", shortID(before.ID)), zap.Error(err))
	}
	m.metrics.Refreshes.WithLabelValues(source, result).Inc()
	m.metrics.RefreshSeconds.Observe(took.Seconds())
}
