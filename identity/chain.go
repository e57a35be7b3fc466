// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxSentBytes is how long the certificates that a client sends may be together. Their
	// hash names the verdict, so that every request costs a look at each byte. A leaf with
	// eight RSA-4096 intermediates has about 15 KB.
	maxSentBytes = 64 << 10

	// maxRSA is the largest RSA key, in bits, as in crypto/tls.
	maxRSA = 8192
)

// ChainRules say which chain makes a client's certificate trusted. Clients that have proven
// nothing decide what is verified here, so the work is bounded by keys of the operator's:
// a certificate that came from outside is a candidate for a chain only once it has itself
// been verified by a CA that is trusted. x509 alone tries up to a hundred signatures with
// keys that the client has chosen, which takes most of a second (as CVE-2018-16875 did).
type ChainRules struct {
	// Roots end a chain. Nil is refused: x509 would take it for the system's roots, and
	// any owner of a domain could get a certificate (CVE-2026-27586).
	Roots *x509.CertPool

	// Intermediates are the operator's own. A chain of these alone is preferred to one with
	// certificates that the client sent, which could otherwise choose among several
	// certificates of one CA.
	Intermediates []*x509.Certificate

	// MaxSent is how many certificates the client may send besides its own.
	MaxSent int

	// Check refuses a chain for further reasons. It may be nil.
	Check func(chain []*x509.Certificate) error
}

// CheckSent refuses certificates, the client's own first, that are not worth a look: too
// many, too long, or with keys that take too long. It costs next to nothing itself.
func (c *ChainRules) CheckSent(sent []*x509.Certificate) error {
	if len(sent) > 1+c.MaxSent {
		return fmt.Errorf("%d certificates, more than %d", len(sent), 1+c.MaxSent)
	}
	length := 0
	for _, cert := range sent {
		if length += len(cert.Raw); length > maxSentBytes {
			return fmt.Errorf("the certificates are longer than %d bytes", maxSentBytes)
		}
		if err := checkKey(cert); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits > maxRSA {
			return fmt.Errorf("an RSA key of %d bits, more than %d", bits, maxRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return errors.New("a key of a kind that is not accepted")
	}
	return nil
}

// Build returns a chain from the first certificate to one of the roots, for client
// authentication, and the time until which all of it is valid. The others that the client
// sent may be intermediates, and never become roots. The error contains nothing from a
// certificate.
func (c *ChainRules) Build(sent []*x509.Certificate, now time.Time) (chain []*x509.Certificate, until time.Time, err error) {
	switch {
	case c.Roots == nil:
		return nil, until, errors.New("no roots to verify the certificate with")
	case len(sent) == 0:
		return nil, until, errors.New("no certificate to verify")
	}
	if err := c.CheckSent(sent); err != nil {
		return nil, until, err
	}
	chain, err = c.best(sent[0], nil, now)
	if err != nil {
		proven, fault := c.proven(sent[1:], now)
		if len(proven) > 0 {
			chain, err = c.best(sent[0], proven, now)
		}
		if fault != nil && errors.Is(err, errUnknownCA) {
			err = fault // which is why the CA is unknown
		}
	}
	if err != nil {
		return nil, until, err
	}
	until = chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	return chain, until, nil
}

// proven returns the certificates that are CAs under the roots. The outer loop finds those
// that other proven ones have issued, in whichever order they were sent. The fault is that of
// one which would be a CA if it were valid.
func (c *ChainRules) proven(sent []*x509.Certificate, now time.Time) (proven []*x509.Certificate, fault error) {
	open := slices.DeleteFunc(slices.Clone(sent), func(cert *x509.Certificate) bool { return !isCA(cert) })
	for before := -1; before < len(proven); {
		before, fault = len(proven), nil
		open = slices.DeleteFunc(open, func(cert *x509.Certificate) bool {
			_, err := c.chains(cert, proven, x509.ExtKeyUsageAny, now)
			if err == nil {
				proven = append(proven, cert)
				return true
			}
			if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
				fault = CertificateFault(invalid, "client")
			}
			return false
		})
	}
	return proven, fault
}

// best returns the acceptable chain with the fewest certificates of the client's.
func (c *ChainRules) best(leaf *x509.Certificate, proven []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	chains, err := c.chains(leaf, proven, x509.ExtKeyUsageClientAuth, now)
	if fault := CertificateFault(err, "client"); fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, errors.New("the certificate does not verify")
	}
	foreign := func(chain []*x509.Certificate) (n int) {
		for _, cert := range chain {
			if slices.ContainsFunc(proven, cert.Equal) {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(chains, func(a, b []*x509.Certificate) int { return foreign(a) - foreign(b) })
	for _, chain := range chains {
		if err = c.check(chain); err == nil {
			return chain, nil
		}
	}
	return nil, err
}

func (c *ChainRules) chains(
	cert *x509.Certificate, proven []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time,
) ([][]*x509.Certificate, error) {
	pool := x509.NewCertPool()
	for _, intermediate := range slices.Concat(c.Intermediates, proven) {
		pool.AddCert(intermediate)
	}
	return cert.Verify(x509.VerifyOptions{
		Roots: c.Roots, Intermediates: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
}

// check refuses a chain with an issuer that is not a CA. x509 lets a certificate of X.509
// version 1, which cannot say what it is, issue others as soon as it is among the roots.
func (c *ChainRules) check(chain []*x509.Certificate) error {
	for _, issuer := range chain[1:] {
		if !isCA(issuer) {
			return errors.New("an issuer in the chain is not a CA")
		}
	}
	if c.Check == nil {
		return nil
	}
	return c.Check(chain)
}

func isCA(cert *x509.Certificate) bool { return cert.BasicConstraintsValid && cert.IsCA }
