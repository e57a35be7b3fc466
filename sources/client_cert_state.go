// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// certCacheSize is how many verdicts are kept for one configuration of the source.
const certCacheSize = 4096

// certStates holds what outlives a configuration, by a hash of what it depends on: after a
// reload that does not change a source, its responders are not asked again.
var certStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// certState is what sources with the same settings share.
type certState struct {
	cache      *certauth.Cache
	revocation *certauth.Revocation
}

// Destruct implements caddy.Destructor.
func (s *certState) Destruct() error {
	guest.Retire(s, func() {
		s.cache.Close()
		s.revocation.Close()
	})
	return nil
}

// acquireState finds or makes the state for these settings. As with a trust pool, a list that
// cannot be read does not load, also if the state has an earlier one.
func (c *ClientCert) acquireState() (*certState, error) {
	key, err := guest.StateKey("client_cert", c)
	if err != nil {
		return nil, err
	}
	value, _, err := certStates.LoadOrNew(key, func() (caddy.Destructor, error) {
		return c.newState()
	})
	if err != nil {
		return nil, err
	}
	c.stateKey = key
	state := value.(*certState)
	if state.revocation != nil {
		if err := state.revocation.ReadFiles(); err != nil {
			return nil, fmt.Errorf("revocation: %w", err)
		}
	}
	return state, nil
}

func (c *ClientCert) newState() (caddy.Destructor, error) {
	state := &certState{cache: certauth.NewCache(certCacheSize)}
	if c.Revocation == nil || c.Revocation.Mode == string(certauth.ModeOff) {
		return state, nil
	}
	state.revocation = &certauth.Revocation{
		Mode:         certauth.Mode(c.Revocation.Mode),
		CRLs:         c.Revocation.CRL,
		OCSP:         c.Revocation.OCSP != nil,
		AllowedHosts: c.Revocation.AllowedHosts,
		Timeout:      time.Duration(c.Revocation.Timeout),
		OnProblem:    logRevocation,
		OnRefused:    func(list string, err error) { fileChanged("client_cert", list)(err) },
	}
	if c.Revocation.OCSP != nil {
		state.revocation.Responder = c.Revocation.OCSP.Responder
	}
	if err := state.revocation.Validate(); err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	state.revocation.Start(context.Background()) // not the configuration's context, which this state outlives
	return state, nil
}

// trustedRoots watches a pool of CAs and gives it the key that verdicts are kept under.
type trustedRoots struct {
	ca      caddytls.CA
	partial bool // every certificate of the pool may end a chain
	last    atomic.Pointer[splitPool]
}

// splitPool is the operator's pool, divided as it is used.
type splitPool struct {
	pool  *x509.CertPool      // as the guest gave it
	certs []*x509.Certificate // of it; none if it does not show them
	trust certauth.Trust
}

// now returns the CAs. When the pool changes, since its file changed, the key changes with
// it, and the old verdicts are not found any more.
func (t *trustedRoots) now() certauth.Trust { return t.current().trust }

// named returns the certificate of the pool with a fingerprint.
func (t *trustedRoots) named(fingerprint string) (*x509.Certificate, error) {
	for _, cert := range t.current().certs {
		if sum := sha256.Sum256(cert.Raw); hex.EncodeToString(sum[:]) == fingerprint {
			return cert, nil
		}
	}
	return nil, fmt.Errorf("the trust_pool does not show a certificate with the fingerprint %s", fingerprint)
}

func (t *trustedRoots) current() *splitPool {
	pool := t.ca.CertPool()
	if last := t.last.Load(); last != nil && last.pool == pool {
		return last
	}
	next := t.split(pool)
	t.last.Store(next)
	return next
}

// split makes roots of the pool's self-signed certificates and intermediates of the
// others, as OpenSSL does: Go ends a chain at the first certificate that is in the pool,
// so with the usual bundle of both every chain would be a partial one. The key is a hash
// of the certificates, so that the same ones after a reload find their verdicts again. A
// pool that does not show what it has is used as it is, with a key of its own.
func (t *trustedRoots) split(pool *x509.CertPool) *splitPool {
	result := &splitPool{pool: pool, trust: certauth.Trust{Roots: pool}}
	provider, ok := t.ca.(caddytls.CertificateProvider)
	if !ok {
		_, _ = rand.Read(result.trust.Key[:])
		return result
	}
	shown, roots := x509.NewCertPool(), x509.NewCertPool()
	var others []*x509.Certificate
	certs := provider.Certificates()
	for _, cert := range certs {
		shown.AddCert(cert)
		if certauth.IsSelfSigned(cert) {
			roots.AddCert(cert)
		} else {
			others = append(others, cert)
		}
	}
	if !shown.Equal(pool) { // it changed in between, or shows less than it trusts
		_, _ = rand.Read(result.trust.Key[:])
		return result
	}
	result.certs, result.trust.Key = certs, trustpool.Sum(certs)
	if !t.partial && len(others) < len(certs) {
		result.trust.Roots, result.trust.Intermediates = roots, others
	}
	return result
}
