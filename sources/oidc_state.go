// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/x509"
	"encoding/hex"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/microsoftgraph"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// issuerStates holds what outlives a configuration, by a hash of what it depends on: after
// a reload the issuer is not asked for its keys again, and no token is verified again.
var issuerStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// issuerState is what sources with the same settings share.
type issuerState struct {
	issuer string
	keys   issuerKeySet
	cache  *tokencache.Cache
	groups oidc.GroupsWatch
	roots  atomic.Pointer[caddytls.CA] // of the configuration that came last

	provider *codeflow.Provider     // nil if browsers do not log in
	graph    *microsoftgraph.Groups // nil without groups_from
}

// issuerKeySet is the keys of an issuer, wherever they are from.
type issuerKeySet interface {
	oidc.Keys

	Status(now time.Time) oidc.KeysStatus
	Renew()
}

// Destruct implements caddy.Destructor.
func (s *issuerState) Destruct() error {
	guest.Retire(s, func() {
		s.cache.Close()
		if keys, ok := s.keys.(*oidc.RemoteKeys); ok {
			keys.Close()
		}
		if s.provider != nil {
			s.provider.Close()
		}
		if s.graph != nil {
			s.graph.Close()
		}
	})
	return nil
}

// pool is the CAs by which the issuer's certificate is verified; nil means the system's.
func (s *issuerState) pool() *x509.CertPool {
	if ca := s.roots.Load(); ca != nil {
		return (*ca).CertPool()
	}
	return nil
}

// acquireState finds or makes the state for these settings.
func (o *OIDC) acquireState(ctx caddy.Context) (*issuerState, error) {
	settings := *o // with the pool's settings, which loading the pool clears
	var ca *caddytls.CA
	fingerprint := ""
	if o.TrustPoolRaw != nil {
		loaded, err := trustpool.Load(ctx, o, o.TrustPoolRaw)
		if err != nil {
			return nil, err
		}
		ca, fingerprint = &loaded, poolFingerprint(loaded)
	}
	key, err := guest.StateKey("oidc", settings, fingerprint)
	if err != nil {
		return nil, err
	}
	if o.JWKSFile != "" { // checked even if an earlier configuration has read it well
		if _, err := oidc.NewFileKeys(o.JWKSFile, nil); err != nil {
			return nil, err
		}
	}
	value, _, err := issuerStates.LoadOrNew(key, func() (caddy.Destructor, error) { return o.newState(ca) })
	if err != nil {
		return nil, err
	}
	o.stateKey = key
	state := value.(*issuerState)
	if ca != nil {
		state.roots.Store(ca)
	}
	return state, nil
}

func (o *OIDC) newState(ca *caddytls.CA) (*issuerState, error) {
	state := &issuerState{issuer: o.Issuer, cache: oidc.NewCache(1), groups: oidc.GroupsWatch{OnProblem: logIssuer(o.Issuer)}}
	state.roots.Store(ca)
	var err error
	if state.graph, err = o.newGroups(); err != nil {
		return nil, err
	}
	if o.LoginBlock != nil {
		provider, err := o.newProvider(state)
		if err != nil {
			return nil, err
		}
		state.provider = provider
	}
	if o.JWKSFile != "" {
		keys, err := oidc.NewFileKeys(o.JWKSFile, logIssuer(o.Issuer))
		if err != nil {
			return nil, err
		}
		keys.OnChange(fileChanged("oidc", o.JWKSFile))
		state.keys = keys
		return state, nil
	}
	keys, err := oidc.NewRemoteKeys(oidc.RemoteConfig{
		Issuer:       o.Issuer,
		DiscoveryURL: o.DiscoveryURL,
		JWKSURL:      o.JWKSURL,
		Roots:        state.pool,
		OnProblem:    logIssuer(o.Issuer),
		OnChange:     keysChanged("oidc", o.Issuer),
	})
	if err != nil {
		return nil, err
	}
	keys.Warm()
	if state.provider != nil {
		state.provider.Warm()
	}
	state.keys = keys
	return state, nil
}

// poolFingerprint names a pool by its certificates, where it shows them.
func poolFingerprint(ca caddytls.CA) string {
	provider, ok := ca.(caddytls.CertificateProvider)
	if !ok {
		return ""
	}
	sum := trustpool.Sum(provider.Certificates())
	return hex.EncodeToString(sum[:])
}

// logIssuer logs what happens in the background, to the log of the configuration that is
// then in force: the state outlives the configuration that made it.
func logIssuer(issuer string) func(message string, err error) {
	return func(message string, err error) {
		caddy.Log().Named(guest.Sources+".oidc").Warn(message, zap.String("issuer", issuer), zap.Error(err))
	}
}
