// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

const (
	// keptVerdicts is how many verdicts on peers are kept, of good ones and of refusals each.
	keptVerdicts = 1024

	// keepRefusal is how long a peer that repeats a request is refused without another look.
	keepRefusal = 5 * time.Second
)

// peerVerdicts keeps the verdicts on peers' certificates, so that the second request of a
// connection costs a hash. Refusals have places of their own: a flood of them does not push
// the proxies out.
type peerVerdicts struct {
	mu        sync.Mutex
	roots     *x509.CertPool // by which the verdicts are
	good, bad *lru.Cache[[sha256.Size]byte, peerVerdict]
}

type peerVerdict struct {
	err   error
	until time.Time
}

func newPeerVerdicts() *peerVerdicts {
	return &peerVerdicts{
		good: lru.New[[sha256.Size]byte, peerVerdict](keptVerdicts),
		bad:  lru.New[[sha256.Size]byte, peerVerdict](keptVerdicts),
	}
}

// judge says why the certificates do not make a peer trusted, or nil. A verdict ends with the
// first certificate of the chain, and with the pool.
func (v *peerVerdicts) judge(rules *identity.ProxyRules, sent []*x509.Certificate, now time.Time) error {
	if err := rules.CheckSent(sent); err != nil {
		return err
	}
	hash := sha256.New()
	for _, cert := range sent {
		hash.Write(cert.Raw) // DER has a definite end
	}
	key := [sha256.Size]byte(hash.Sum(nil))
	if known, ok := v.get(rules.Roots, key, now); ok {
		return known.err
	}
	until, err := rules.Verify(sent, now)
	if err != nil {
		until = now.Add(keepRefusal)
	}
	v.put(rules.Roots, key, peerVerdict{err, until})
	return err
}

// get forgets all verdicts when the roots are other ones.
func (v *peerVerdicts) get(roots *x509.CertPool, key [sha256.Size]byte, now time.Time) (verdict peerVerdict, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roots != roots {
		v.good.Clear()
		v.bad.Clear()
		v.roots = roots
	}
	for _, kept := range []*lru.Cache[[sha256.Size]byte, peerVerdict]{v.good, v.bad} {
		if found := kept.Get(key); found != nil && now.Before(found.until) {
			return *found, true
		}
	}
	return peerVerdict{}, false
}

// put keeps a verdict, unless the roots are other ones meanwhile.
func (v *peerVerdicts) put(roots *x509.CertPool, key [sha256.Size]byte, verdict peerVerdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.roots != roots:
	case verdict.err == nil:
		v.good.Put(key, verdict)
	default:
		v.bad.Put(key, verdict)
	}
}
