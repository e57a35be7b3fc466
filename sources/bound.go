// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Bound is what sources of tokens have in common that may be bound to a certificate (RFC 8705).
type Bound struct {
	// CertificateBound says what becomes of a token that is bound to its client's certificate
	// (RFC 8705: the claim cnf with x5t#S256). "present": the client needs the certificate, from
	// the handshake with Caddy or, if the peer is a trusted proxy, from the field that a
	// client_cert of the same block reads. "required": a token that is not bound is refused as
	// well. "off": cnf is not looked at, so that every holder of the token may use it. A cnf that
	// is not understood is refused, except with "off". Default: "present".
	CertificateBound string `json:"certificate_bound,omitempty"`
}

// bound is the word as the leaf knows it.
func (b *Bound) bound() identity.CertificateBound {
	return identity.CertificateBound(b.CertificateBound)
}

func (b *Bound) setBound() {
	if b.CertificateBound == "" {
		b.CertificateBound = string(identity.BoundPresent)
	}
}

// validateBound refuses other words.
func (b *Bound) validateBound() error {
	if err := checkBound(b.CertificateBound); err != nil {
		return fmt.Errorf("certificate_bound: %w", err)
	}
	return nil
}

// DemandsCertificate implements [identity.CertificateDemander].
func (b *Bound) DemandsCertificate() bool { return b.bound() == identity.BoundRequired }

// boundOption parses the option.
func (b *Bound) boundOption() option.Parser { return option.Word(&b.CertificateBound, checkBound) }

func checkBound(word string) error { return option.OneOf(identity.CertificateBounds())(word) }
