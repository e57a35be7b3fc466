// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// CertTrustDomain ties a SPIFFE trust domain to its CAs.
type CertTrustDomain struct {
	// Name of the trust domain, such as example.org, in lower case. One that is there twice is
	// refused. Required.
	Name string `json:"name,omitempty"`

	// TrustPoolRaw is the CAs that may issue certificates of this trust domain, by any of Caddy's
	// modules, such as its bundle (spiffe_bundle). An empty pool is refused. Required.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
}

// certTrust is the CAs of a source, which may change while the server runs.
type certTrust interface {
	now() certauth.Trust
	named(fingerprint string) (*x509.Certificate, error)
}

// loadTrust loads the pools.
func (c *ClientCert) loadTrust(ctx caddy.Context) (certTrust, error) {
	if err := c.checkPools(); err != nil {
		return nil, err
	}
	if len(c.TrustDomain) == 0 {
		ca, err := trustpool.Load(ctx, c, c.TrustPoolRaw)
		if err == nil && c.isSPIFFE() {
			ctx.Logger().Warn("every CA of the trust_pool may issue the SPIFFE IDs of every trust domain: " +
				"tie each trust domain to its own CAs by trust_domain")
		}
		return &trustedRoots{ca: ca, partial: c.AllowPartialChain}, err
	}
	domains := new(trustedDomains)
	slices.SortFunc(c.TrustDomain, func(a, b CertTrustDomain) int { return strings.Compare(a.Name, b.Name) })
	for n := range c.TrustDomain {
		domain := &c.TrustDomain[n]
		ca, err := trustpool.Load(ctx, domain, domain.TrustPoolRaw)
		if err != nil {
			return nil, fmt.Errorf("trust_domain %s: %w", domain.Name, err)
		}
		domains.names = append(domains.names, domain.Name)
		domains.pools = append(domains.pools, &trustedRoots{ca: ca, partial: c.AllowPartialChain})
	}
	return domains, nil
}

// isSPIFFE says whether the names of users are SPIFFE IDs.
func (c *ClientCert) isSPIFFE() bool { return slices.Contains(c.Username, string(certauth.SPIFFE)) }

// checkSPIFFE refuses what would let a certificate have another name than its SPIFFE ID.
func (c *ClientCert) checkSPIFFE() error {
	switch {
	case len(c.TrustDomain) > 0 && !c.isSPIFFE():
		return errors.New("trust_domain has no use without username spiffe: write 'username spiffe', or a trust_pool instead")
	case c.isSPIFFE() && len(c.Username) > 1:
		return errors.New("username: spiffe stands alone: the certificate of a workload does not have another name; remove the others")
	case c.isSPIFFE() && c.DefaultUser != nil:
		return errors.New("default_user has no use beside username spiffe: a certificate without a SPIFFE ID is refused; remove it")
	}
	return nil
}

func (c *ClientCert) validateTrustDomains() error {
	for n, domain := range c.TrustDomain {
		if err := certauth.CheckTrustDomain(domain.Name); err != nil {
			return fmt.Errorf("trust_domain: %w", err)
		}
		if n > 0 && c.TrustDomain[n-1].Name == domain.Name {
			return fmt.Errorf("trust_domain: %s is there twice: put its CAs into one pool", domain.Name)
		}
	}
	return nil
}

func (c *ClientCert) parseTrustDomain(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	domain := CertTrustDomain{Name: d.Val()}
	if err := option.Unexpanded(certauth.CheckTrustDomain)(domain.Name); err != nil {
		return d.Errf("parsing trust_domain: %v", err)
	}
	err := trustpool.Option(&domain.TrustPoolRaw)(d)
	c.TrustDomain = append(c.TrustDomain, domain)
	return err
}

// trustedDomains are the CAs of trust domains.
type trustedDomains struct {
	names []string // sorted
	pools []*trustedRoots
	last  atomic.Pointer[domainsTrust]
}

type domainsTrust struct {
	pools []*splitPool
	trust certauth.Trust
}

// now returns the CAs by trust domain. When the pool of one domain changes, so does the key.
func (t *trustedDomains) now() certauth.Trust {
	last := t.last.Load()
	if last != nil && t.same(last) {
		return last.trust
	}
	next := &domainsTrust{trust: certauth.Trust{Domains: make(map[string]certauth.Trust)}}
	var text []byte
	for n, pool := range t.pools {
		split := pool.current()
		next.pools = append(next.pools, split)
		next.trust.Domains[t.names[n]] = split.trust
		text = identity.AppendFramed(text, t.names[n], string(split.trust.Key[:]))
	}
	next.trust.Key = sha256.Sum256(text)
	t.last.Store(next)
	return next.trust
}

// same says whether these are the pools of the moment.
func (t *trustedDomains) same(last *domainsTrust) bool {
	for n, pool := range t.pools {
		if pool.current() != last.pools[n] {
			return false
		}
	}
	return true
}

// named returns the certificate of any of the pools with a fingerprint.
func (t *trustedDomains) named(fingerprint string) (cert *x509.Certificate, err error) {
	for _, pool := range t.pools {
		if cert, err = pool.named(fingerprint); err == nil {
			return cert, nil
		}
	}
	return nil, err
}
