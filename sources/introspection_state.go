// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/x509"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/introspection"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// introspectionStates holds what outlives a configuration, by a hash of what it depends on.
var introspectionStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// introspectionState is what sources with the same settings share.
type introspectionState struct {
	asked
	issuer   string
	endpoint *introspection.Endpoint
	groups   oidc.GroupsWatch
	roots    atomic.Pointer[caddytls.CA] // of the configuration that came last
}

// Destruct implements caddy.Destructor.
func (s *introspectionState) Destruct() error {
	guest.Retire(s, func() {
		s.cache.Close()
		s.endpoint.Close()
	})
	return nil
}

// pool is the CAs by which the endpoint's certificate is verified; nil means the system's.
func (s *introspectionState) pool() *x509.CertPool {
	if ca := s.roots.Load(); ca != nil {
		return (*ca).CertPool()
	}
	return nil
}

// acquireState finds or makes the state for these settings: verdicts are those of one endpoint,
// asked as one client, mapped in one way (Oathkeeper's GHSA-4mq7-pvjg-xp2r: a cache that forgot
// the server).
func (i *Introspection) acquireState(ctx caddy.Context) (*introspectionState, error) {
	settings := *i // with the pool's settings, which loading the pool clears
	var ca *caddytls.CA
	fingerprint := ""
	if i.TrustPoolRaw != nil {
		loaded, err := trustpool.Load(ctx, i, i.TrustPoolRaw)
		if err != nil {
			return nil, err
		}
		ca, fingerprint = &loaded, poolFingerprint(loaded)
	}
	key, err := guest.StateKey("introspection", settings, fingerprint)
	if err != nil {
		return nil, err
	}
	value, _, err := introspectionStates.LoadOrNew(key, func() (caddy.Destructor, error) { return i.newState(ca) })
	if err != nil {
		return nil, err
	}
	i.stateKey = key
	state := value.(*introspectionState)
	if ca != nil {
		state.roots.Store(ca)
	}
	return state, nil
}

func (i *Introspection) newState(ca *caddytls.CA) (*introspectionState, error) {
	state := &introspectionState{issuer: i.Issuer, groups: oidc.GroupsWatch{OnProblem: logIntrospection(i.Issuer)}}
	state.roots.Store(ca)
	connections := i.MaxInFlight
	if connections == 0 {
		connections = tokencache.DefaultMaxInFlight
	}
	endpoint, err := introspection.NewEndpoint(i.URL, state.pool, connections)
	if err != nil {
		return nil, err
	}
	state.endpoint, state.asked = endpoint, i.newAsked()
	return state, nil
}

// Inspect implements [guest.Inspector].
func (s *introspectionState) Inspect(into *guest.State) {
	inspectTokens(into, "introspection", s.cache, s.issuer)
}

// Flush implements [guest.Flusher].
func (s *introspectionState) Flush(what guest.Flush) guest.Flushed {
	if !what.Concerns("introspection", s.issuer) {
		return guest.Flushed{}
	}
	return flushTokens(s.cache, what)
}

// logIntrospection logs what is noticed beside a request, to the log of the configuration that is
// then in force.
func logIntrospection(issuer string) func(message string, err error) {
	return func(message string, err error) {
		caddy.Log().Named(guest.Sources+".introspection").Warn(message, zap.String("issuer", issuer), zap.Error(err))
	}
}

// Interface guards
var (
	_ guest.Inspector = (*introspectionState)(nil)
	_ guest.Flusher   = (*introspectionState)(nil)
)
