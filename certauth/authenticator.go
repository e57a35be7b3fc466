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

	// Trust returns the CAs, which may change while the server runs.
	Trust func() Trust

	Verifier   Verifier
	Revocation *Revocation // nil: not asked
	Mapping    Mapping

	// Cache keeps verdicts, good ones for at most TTL; nil keeps none.
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
	trust := a.Trust()
	return a.cached(trust, [][]string{leaf, chain}, now, func() (Verdict, time.Time, error) {
		certs, err := a.parse(leaf, chain)
		if err != nil {
			return Verdict{}, time.Time{}, err
		}
		return a.verify(ctx, trust, certs, now)
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
	if err := a.Verifier.CheckSent(certs); err != nil {
		return Verdict{}, err
	}
	trust := a.Trust()
	material := make([]string, len(certs))
	for i, cert := range certs {
		material[i] = string(cert.Raw)
	}
	return a.cached(trust, [][]string{material}, now, func() (Verdict, time.Time, error) {
		return a.verify(ctx, trust, certs, now)
	})
}

// keepRefusal is how long a refusal is kept: long enough that a client which repeats one
// costs little, and too short to matter to an operator who repairs its cause.
const keepRefusal = 5 * time.Second

// cached returns the verdict for the material, verifying it at most once while the
// verdict holds. An answer that is missing is not a verdict.
func (a *Authenticator) cached(
	trust Trust, material [][]string, now time.Time, verify func() (Verdict, time.Time, error),
) (Verdict, error) {
	if a.Cache == nil || tooLong(material) {
		verdict, _, err := verify()
		return verdict, err
	}
	since := a.Cache.Generation()
	key := a.keyOf(trust.Key, material)
	verdict, hit, refusal := a.Cache.Get(key, now)
	if a.OnLookup != nil {
		a.OnLookup(hit)
	}
	if hit {
		return verdict, refusal
	}
	verdict, until, err := verify()
	switch {
	case err == nil:
		verdict.Memo = new(identity.Memo)
		a.Cache.Put(key, verdict, until, since)
		return verdict, nil
	case identity.IsBadCredential(err) || errors.Is(err, identity.ErrForbidden):
		a.Cache.Refuse(key, err, now.Add(keepRefusal), since)
	}
	return Verdict{}, err
}

// tooLong says whether the lines are longer than the decoder looks at, so that the refusal
// costs less than their hash.
func tooLong(material [][]string) bool {
	for _, lines := range material {
		length := 0
		for _, line := range lines {
			length += len(line)
		}
		if length > maxValue {
			return true
		}
	}
	return false
}

// keyOf hashes everything a verdict depends on: the roots, the state of revocation, and
// the lines. Counts and lengths are part of it, so that two different lists never give
// the same bytes.
func (a *Authenticator) keyOf(trust Key, material [][]string) Key {
	buffer := a.Cache.buffers.Get().(*[]byte)
	text := (*buffer)[:0]
	text = append(text, trust[:]...)
	if a.Revocation != nil {
		text = binary.BigEndian.AppendUint64(text, a.Revocation.Generation())
	}
	for _, lines := range material {
		text = binary.BigEndian.AppendUint64(text, uint64(len(lines)))
		text = identity.AppendFramed(text, lines...)
	}
	key := Key(sha256.Sum256(text))
	*buffer = text
	a.Cache.buffers.Put(buffer)
	return key
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
	ctx context.Context, trust Trust, certs []*x509.Certificate, now time.Time,
) (verdict Verdict, until time.Time, err error) {
	defer identity.Recovered(&err, identity.ErrMalformed, "reading a certificate")
	chain, expires, err := a.Verifier.Verify(trust, certs, now)
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
