// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
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

// Verifier verifies chains of certificates. It also checks rules that
// x509.Certificate.Verify does not: see each rule.
type Verifier struct {
	// AllowPartialChain accepts a chain that ends at a configured certificate which is
	// not self-signed, as Go always does and OpenSSL only with X509_V_FLAG_PARTIAL_CHAIN.
	AllowPartialChain bool

	// MaxIntermediates is how many certificates may be between the leaf and the root.
	MaxIntermediates int
}

// Verify returns a chain from leaf to one of roots, and the time until which all of it is
// valid. The error wraps [identity.ErrRejected]; its text contains nothing from a
// certificate.
//
// Roots must not be nil, which would mean the system's roots: with every public CA among
// them, any owner of a domain could get a certificate that authenticates. Intermediates
// help to build the chain and never become roots.
func (v *Verifier) Verify(
	roots *x509.CertPool, leaf *x509.Certificate, intermediates []*x509.Certificate, now time.Time,
) (chain []*x509.Certificate, until time.Time, err error) {
	if roots == nil {
		return nil, until, fmt.Errorf("%w: no roots to verify the certificate with", identity.ErrInternal)
	}
	if err := checkLeaf(leaf); err != nil {
		return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	}
	pool := x509.NewCertPool()
	for _, cert := range intermediates {
		pool.AddCert(cert)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: pool,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, // none would mean serverAuth
	})
	if err != nil {
		return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, explain(err))
	}
	for _, candidate := range chains { // one good chain is enough
		if err = v.checkChain(candidate); err == nil {
			return candidate, validUntil(candidate), nil
		}
	}
	return nil, until, fmt.Errorf("%w: %w", identity.ErrRejected, err)
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

// checkChain applies the rules that Verify does not have to a chain that it built.
func (v *Verifier) checkChain(chain []*x509.Certificate) error {
	if n := len(chain) - 2; n > v.MaxIntermediates {
		return fmt.Errorf("%d intermediate certificates, more than %d", n, v.MaxIntermediates)
	}
	for _, cert := range chain {
		if err := checkKey(cert); err != nil {
			return err
		}
	}
	if last := chain[len(chain)-1]; !v.AllowPartialChain && !IsSelfSigned(last) {
		return errors.New("the chain ends at a certificate that is not self-signed")
	}
	return nil
}

func checkKey(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("an RSA key of %d bits, fewer than %d", bits, minRSA)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < minECDSA {
			return fmt.Errorf("an ECDSA key of %d bits, fewer than %d", bits, minECDSA)
		}
	case ed25519.PublicKey:
	default:
		return errors.New("a key of a kind that is not accepted")
	}
	return nil
}

// IsSelfSigned says whether cert is its own issuer. The names are enough: the certificate
// is from a trusted pool, and its signature would prove nothing more.
func IsSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer)
}

// validUntil is when the first certificate of the chain expires.
func validUntil(chain []*x509.Certificate) time.Time {
	until := chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	return until
}

// explain says why Verify refused, without names from certificates.
func explain(err error) error {
	if fault := identity.CertificateFault(err, "client"); fault != nil {
		return fault
	}
	return errors.New("the certificate does not verify")
}
