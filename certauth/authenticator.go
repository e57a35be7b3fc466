// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Authenticator turns certificates into a user: decode, verify, ask for revocation,
// map, and remember.
type Authenticator struct {
	// Encoding is how certificates are written into header fields.
	Encoding Encoding

	// LeafOnly says that the certificate field holds one certificate. A list is then
	// refused: if the proxy appends to the field instead of replacing it, the client has
	// written the first member, and that may be another user's certificate.
	LeafOnly bool

	// Roots returns the CAs, which may change while the server runs, and a key that
	// changes with them, so that verdicts by other roots are not found again.
	Roots func() (*x509.CertPool, Key)

	// Intermediates are the operator's own certificates. They help to build a chain, as
	// those from a header do; nil for none.
	Intermediates func() []*x509.Certificate

	Verifier   Verifier
	Revocation *Revocation // nil: not asked
	Mapping    Mapping

	// Cache keeps verdicts, for at most TTL; nil keeps none.
	Cache *Cache
	TTL   time.Duration

	// OnLookup is called after each look into the cache and says whether it had the
	// answer. It may be nil.
	OnLookup func(hit bool)
}

// Header authenticates by the lines of a certificate field and, where there is one, of
// a chain field. Its error wraps exactly one sentinel.
func (a *Authenticator) Header(ctx context.Context, leaf, chain []string, now time.Time) (Verdict, error) {
	if len(leaf) == 0 && len(chain) == 0 {
		return Verdict{}, identity.ErrAbsent
	}
	roots, trust := a.Roots()
	return a.cached(trust, [][]string{leaf, chain}, now, func() (Verdict, time.Time, error) {
		certs, err := a.parse(leaf, chain)
		if err != nil {
			return Verdict{}, time.Time{}, err
		}
		return a.verify(ctx, roots, certs, now)
	})
}

// Absent says whether the lines of a certificate field say that there is none.
func (a *Authenticator) Absent(leaf []string) bool {
	switch len(leaf) {
	case 0:
		return true
	case 1:
		d := decoder{encoding: a.Encoding}
		return d.absent(trimBlanks(leaf[0]))
	default:
		return false
	}
}

// Certificates authenticates by the certificates that a TLS handshake received. The chain
// is verified here even if the handshake has verified it.
func (a *Authenticator) Certificates(ctx context.Context, certs []*x509.Certificate, now time.Time) (Verdict, error) {
	if len(certs) == 0 {
		return Verdict{}, identity.ErrAbsent
	}
	roots, trust := a.Roots()
	material := make([]string, len(certs))
	for i, cert := range certs {
		material[i] = string(cert.Raw)
	}
	return a.cached(trust, [][]string{material}, now, func() (Verdict, time.Time, error) {
		return a.verify(ctx, roots, certs, now)
	})
}

// cached returns the verdict for the material, verifying it at most once while the
// verdict holds. Refusals are not kept.
func (a *Authenticator) cached(
	trust Key, material [][]string, now time.Time, verify func() (Verdict, time.Time, error),
) (Verdict, error) {
	if a.Cache == nil {
		verdict, _, err := verify()
		return verdict, err
	}
	key := a.keyOf(trust, material)
	verdict, hit := a.Cache.Get(key, now)
	if a.OnLookup != nil {
		a.OnLookup(hit)
	}
	if hit {
		return verdict, nil
	}
	verdict, until, err := verify()
	if err != nil {
		return Verdict{}, err
	}
	a.Cache.Put(key, verdict, until)
	return verdict, nil
}

// keyOf hashes everything a verdict depends on: the roots, the state of revocation, and
// the lines. Counts and lengths are part of it, so that two different lists never give
// the same bytes.
func (a *Authenticator) keyOf(trust Key, material [][]string) Key {
	room := len(trust) + 8
	for _, lines := range material {
		room += 8
		for _, line := range lines {
			room += 8 + len(line)
		}
	}
	text := append(make([]byte, 0, room), trust[:]...)
	if a.Revocation != nil {
		text = binary.BigEndian.AppendUint64(text, a.Revocation.Generation())
	}
	for _, lines := range material {
		text = binary.BigEndian.AppendUint64(text, uint64(len(lines)))
		text = identity.AppendFramed(text, lines...)
	}
	return sha256.Sum256(text)
}

// parse reads the certificates out of header lines. If a parser panics on them, the
// client sent something malformed.
func (a *Authenticator) parse(leaf, chain []string) (certs []*x509.Certificate, err error) {
	defer identity.Recovered(&err, identity.ErrMalformed, "reading a certificate")
	limit := a.Verifier.MaxIntermediates + 1 // the root may come too
	if a.LeafOnly {
		limit = 0
	}
	ders, err := Decode(a.Encoding, leaf, nil, limit)
	if len(chain) > 0 && (err == nil || errors.Is(err, identity.ErrAbsent)) {
		ders, err = Decode(a.Encoding, leaf, chain, a.Verifier.MaxIntermediates+1)
	}
	if err != nil {
		return nil, err
	}
	certs = make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("%w: certificate %d does not parse", identity.ErrMalformed, i+1)
		}
	}
	return certs, nil
}

// verify builds the chain, asks for revocation and maps the certificate to a user. The
// verdict holds until the returned time.
func (a *Authenticator) verify(
	ctx context.Context, roots *x509.CertPool, certs []*x509.Certificate, now time.Time,
) (verdict Verdict, until time.Time, err error) {
	defer identity.Recovered(&err, identity.ErrMalformed, "reading a certificate")
	intermediates := certs[1:]
	if a.Intermediates != nil {
		intermediates = slices.Concat(intermediates, a.Intermediates())
	}
	chain, expires, err := a.Verifier.Verify(roots, certs[0], intermediates, now)
	if err != nil {
		return Verdict{}, until, err
	}
	until = earliest(now.Add(a.TTL), expires)
	if a.Revocation != nil {
		next, err := a.Revocation.Check(ctx, chain, now)
		if err != nil {
			return Verdict{}, until, err
		}
		until = earliest(until, next)
	}
	user, err := a.Mapping.User(chain)
	if err != nil {
		return Verdict{}, until, err
	}
	return Verdict{User: user, Expires: expires}, until, nil
}
