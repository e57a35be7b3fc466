// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
)

// authority names a CA by its subject and key. Its certificate would not do: a CA may have
// several (renewed ones, cross certificates), and any party can make a second one of a
// certificate with an ECDSA signature, where (r, n-s) is valid if (r, s) is. The client
// chooses which of them is in its chain. It has no choice of subject and key: its own
// certificate has the one as its issuer and was signed with the other.
type authority [sha256.Size]byte

func authorityOf(cert *x509.Certificate) authority {
	// A name in DER has a definite end, so that name and key cannot run into each other.
	return sha256.Sum256(slices.Concat(cert.RawSubject, cert.RawSubjectPublicKeyInfo))
}
