// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import "github.com/caddy-kube-identity/caddy-kube-identity/identity"

// Leaf returns the first certificate (DER) of a certificate field, for which it reads the
// field as [Authenticator.Header] does. It verifies nothing. Certificates of another field
// do not matter: they are never the first.
func (a *Authenticator) Leaf(lines []string) (der []byte, err error) {
	defer identity.Recovered(&err, identity.ErrMalformed, "reading a certificate")
	limit := a.Verifier.MaxIntermediates + 1
	if a.LeafOnly {
		limit = 0
	}
	ders, err := Decode(a.Encoding, lines, nil, limit)
	if err != nil {
		return nil, err
	}
	return ders[0], nil
}
