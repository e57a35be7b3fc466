// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// minRSA and minECDSA are the smallest keys of a certificate in a chain, in bits.
	minRSA   = 2048
	minECDSA = 256

	// DefaultMaxIntermediates is how many certificates may be between a leaf and the root
	// by default.
	DefaultMaxIntermediates = 4
)

// Trust are the CAs of the moment.
type Trust struct {
	// Roots end a chain. They must not be nil, which would mean the system's roots: with
	// every public CA among them, any owner of a domain could get a certificate that
	// authenticates.
	Roots *x509.CertPool

	// Intermediates are the operator's own certificates. They help to build a chain, before
	// those that the client sent, and never become roots.
	Intermediates []*x509.Certificate

	// Domains, where there are any, take the place of Roots and Intermediates: the CAs of each
	// trust domain. Only for [Verifier.SVID].
	Domains map[string]Trust

	// Key changes with the certificates, those of Domains among them, so that verdicts by other ones are not found again.
	Key Key
}

// Verifier verifies chains of certificates. It also checks rules that
// x509.Certificate.Verify does not: see each rule, and [identity.ChainRules].
type Verifier struct {
	// AllowPartialChain accepts a chain that ends at a configured certificate which is
	// not self-signed, as Go always does and OpenSSL only with X509_V_FLAG_PARTIAL_CHAIN.
	AllowPartialChain bool

	// MaxIntermediates is how many certificates may be between the leaf and the root.
	MaxIntermediates int

	// SVID accepts only certificates of workloads as SPIFFE defines them (X509-SVID).
	SVID bool
}

// Verify returns a chain from the leaf, the first certificate that was sent, to one of the
// roots, and the time until which all of it is valid. The error wraps
// [identity.ErrRejected]; its text contains nothing from a certificate.
func (v *Verifier) Verify(trust Trust, sent []*x509.Certificate, now time.Time) (chain []*x509.Certificate, until time.Time, err error) {
	if err := checkLeaf(sent[0]); err != nil {
		return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	if v.SVID {
		if trust, err = v.svid(trust, sent[0]); err != nil {
			return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, err)
		}
	}
	if trust.Roots == nil {
		return nil, until, fmt.Errorf("%w: no roots to verify the certificate with", identity.ErrInternal)
	}
	chain, until, err = v.rules(trust).Build(append([]*x509.Certificate{understood(sent[0])}, sent[1:]...), now)
	if err != nil {
		return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	return chain, until, nil
}

// CheckSent refuses certificates that are not worth a look; see
// [identity.ChainRules.CheckSent].
func (v *Verifier) CheckSent(sent []*x509.Certificate) error {
	if err := v.rules(Trust{}).CheckSent(sent); err != nil {
		return fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	return nil
}

// rules are those for a chain. The root may be sent too.
func (v *Verifier) rules(trust Trust) *identity.ChainRules {
	return &identity.ChainRules{
		Roots: trust.Roots, Intermediates: trust.Intermediates, MaxSent: v.MaxIntermediates + 1, Check: v.checkChain,
	}
}

// checkLeaf refuses a certificate that is not a client certificate. Go's Verify accepts a
// CA's own certificate, which is public, in the client's place, and ignores the key
// usage.
func checkLeaf(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return errors.New("the certificate is a CA certificate")
	case hasExtension(leaf, 2, 5, 29, 15) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("the certificate's key is not for signatures")
	}
	return nil
}

// hasExtension says whether the certificate has an extension, also one without content.
func hasExtension(cert *x509.Certificate, id ...int) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(id)
	})
}

// checkChain applies further rules to a chain that is trusted.
func (v *Verifier) checkChain(chain []*x509.Certificate) error {
	if n := len(chain) - 2; n > v.MaxIntermediates {
		return fmt.Errorf("%d intermediate certificates, more than %d", n, v.MaxIntermediates)
	}
	for _, cert := range chain {
		if err := checkStrength(cert); err != nil {
			return err
		}
	}
	if last := chain[len(chain)-1]; !v.AllowPartialChain && !IsSelfSigned(last) {
		return errors.New("the chain ends at a certificate that is not self-signed")
	}
	return nil
}

func checkStrength(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("an RSA key of %d bits, fewer than %d", bits, minRSA)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < minECDSA {
			return fmt.Errorf("an ECDSA key of %d bits, fewer than %d", bits, minECDSA)
		}
	}
	return nil
}

// IsSelfSigned says whether cert is its own issuer. The names are enough: the certificate
// is from a trusted pool, and its signature would prove nothing more.
func IsSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer)
}
