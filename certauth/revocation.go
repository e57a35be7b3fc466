// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Mode says what happens to a certificate when there is no answer about its revocation.
type Mode string

const (
	// ModeOff does not ask.
	ModeOff Mode = "off"

	// ModeSoftFail accepts a certificate if there is no answer about it, and refuses
	// revoked ones. An attacker who can block the answers can use a revoked certificate.
	ModeSoftFail Mode = "soft_fail"

	// ModeStrict accepts a certificate only if its issuer says that it is good.
	ModeStrict Mode = "strict"
)

const (
	// defaultTimeout is for one question, from the name's resolution to the last byte.
	defaultTimeout = 5 * time.Second

	// retryAfter is how long soft_fail relies on a missing answer, and does not ask a
	// responder that could not be reached. It is short on purpose: Kong cached failures
	// like answers, and had to repair that in four release lines.
	retryAfter = 5 * time.Second
)

var (
	errRevoked    = errors.New("certificate is revoked")
	errUnknown    = errors.New("ocsp responder does not know the certificate")
	errNoIssuer   = errors.New("no issuer in the verified chain")
	errNotStarted = errors.New("revocation is not started")
)

// Revocation finds out whether certificates were revoked, by lists (CRL) and by asking
// (OCSP). Set the fields, then call Validate, Start, Check as often as needed, and Close.
//
// The lists are the configured ones: the distribution points in certificates are not
// followed. A list is verified by its issuer's name, key, dates and extensions; delta and
// indirect lists, and those of a distribution point, are refused, as are SHA-1
// signatures.
type Revocation struct {
	// Mode has no default: empty and unknown modes are refused, and act as strict.
	Mode Mode

	// CRLs are the paths of files, in DER or one or more in PEM, and http or https URLs.
	// Files are looked at once a second. URLs are fetched in the background: until the
	// first fetch has succeeded, the list is missing. A list counts until its next
	// update, even if its source has disappeared or has other content by then.
	CRLs []string

	// OCSP asks the responder about the leaf, by POST and without a nonce.
	OCSP bool

	// Responder is the URL of the responder for all certificates. Its answers are signed
	// by the issuer, or by a responder that the issuer has made one. Default: the URLs in
	// the certificate.
	Responder string

	// AllowedHosts are the only hosts in certificates' URLs that may be asked, as host
	// (ports 80 and 443) or host:port. Default: all public addresses with those ports, by
	// the address that the name resolves to. The limits do not apply to the URLs
	// configured here, Responder and CRLs.
	AllowedHosts []string

	// Timeout is for one question or one list. Default: 5 s.
	Timeout time.Duration

	// OnProblem is called with problems that no caller sees: failures in the background,
	// and missing answers that soft_fail ignores, at most one of these a second. It may
	// be nil.
	OnProblem func(message string, err error)

	// OnRefused is called with a list, as CRLs has it, when it cannot be read any more. It may
	// be nil, and must not wait.
	OnRefused func(list string, err error)

	transport http.RoundTripper // replaces the network in tests
	run       *running
}

// Start reads the CRL files and begins to fetch in the background, until Close is called
// or ctx ends. It never waits for the network. A file that cannot be read now is reported
// to OnProblem and read when it can be; see ReadFiles. Start is called once, before the
// first Check.
func (r *Revocation) Start(ctx context.Context) {
	if r.Mode == ModeOff {
		return
	}
	r.run = newRunning(ctx, r)
	_ = r.run.lookAtFiles() // reported
	r.run.spawn(r.run.watchFiles)
	for _, source := range r.run.urls {
		r.run.spawn(func(ctx context.Context) { r.run.fetchLists(ctx, source) })
	}
	if r.OCSP {
		r.run.spawn(r.run.ocsp.refresh)
	}
}

// ReadFiles reads the CRL files that changed, and says which of them cannot be used now: in
// soft_fail a path that is wrong from the start would switch revocation off.
func (r *Revocation) ReadFiles() error {
	if r.run == nil {
		return nil
	}
	return r.run.lookAtFiles()
}

// Close ends what Start began and waits for it. Check still works with the lists and
// answers that are known.
func (r *Revocation) Close() {
	if r != nil && r.run != nil {
		r.run.close()
	}
}

// Generation changes when a list is replaced or an answer changes, so that a verdict is
// not kept longer than the lists and answers it depends on.
func (r *Revocation) Generation() uint64 {
	if r.run == nil {
		return 0
	}
	return r.run.changed.Load()
}

// Check says whether a certificate may be used. The chain begins with it and ends with
// its root, and must be trusted already: Check follows its URLs, and verifies answers by
// its issuers' keys.
//
// The leaf is checked by OCSP, if enabled, and if that has no usable answer by the lists
// of its issuer. The authorities between the leaf and the last certificate are checked by
// the lists that exist: a missing list for one of them is not an error. A leaf that is
// the whole chain has no issuer that could revoke it, so there is no answer about it.
//
// The error wraps [identity.ErrRejected] if one of them is revoked (on hold counts as
// revoked), or if the mode is strict and the responder does not know the leaf. It wraps
// [identity.ErrUnavailable] if the mode is strict and there is no usable answer, or if
// ctx ended. In soft_fail the leaf passes without a usable answer; "unknown" is not a
// usable answer.
//
// until is when to check again, whatever the verdict, and zero if there is no such time.
// It is soon when an answer is missing. An answer may change earlier, see Generation.
func (r *Revocation) Check(ctx context.Context, chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	if r.Mode == ModeOff {
		return time.Time{}, nil
	}
	if r.run == nil {
		return time.Time{}, fmt.Errorf("%w: %w", identity.ErrUnavailable, errNotStarted)
	}
	if len(chain) == 0 {
		return time.Time{}, fmt.Errorf("%w: %w", identity.ErrUnavailable, errNoIssuer)
	}
	for i := 1; i < len(chain)-1; i++ {
		known, revoked, end, _ := askLists(r.run.sources, chain[i], chain[i+1], now)
		if revoked {
			return end, fmt.Errorf("%w: authority %d above the certificate is revoked", identity.ErrRejected, i)
		}
		if known {
			until = earliest(until, end)
		}
	}
	end, err := r.checkLeaf(ctx, chain, now)
	return earliest(until, end), err
}

// checkLeaf checks the first certificate of the chain.
func (r *Revocation) checkLeaf(ctx context.Context, chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	if len(chain) < 2 {
		return r.noAnswer(errNoIssuer, now)
	}
	leaf, issuer := chain[0], chain[1]
	again := time.Time{} // when to ask a responder again that had no answer
	var reason error
	if r.OCSP {
		answer, err := r.run.ocsp.ask(ctx, leaf, issuer, now)
		switch {
		case err != nil && ctx.Err() != nil:
			// Not even in soft_fail: a client that hangs up could otherwise make its
			// revoked certificate good for the next request.
			return now, fmt.Errorf("%w: request ended before the answer: %w", identity.ErrUnavailable, ctx.Err())
		case err == nil && answer.status == ocsp.Good:
			return answer.until, nil
		case err == nil && answer.status == ocsp.Revoked:
			return answer.until, fmt.Errorf("%w: %w", identity.ErrRejected, errRevoked)
		case err == nil && r.Mode != ModeSoftFail:
			return answer.until, fmt.Errorf("%w: %w", identity.ErrRejected, errUnknown)
		case err == nil:
			err = errUnknown
		}
		reason = err
		if !errors.Is(err, errNoResponder) {
			again = now.Add(retryAfter)
		}
	}
	known, revoked, until, why := askLists(r.run.sources, leaf, issuer, now)
	switch {
	case revoked:
		return until, fmt.Errorf("%w: %w", identity.ErrRejected, errRevoked)
	case known:
		return earliest(until, again), nil
	case reason == nil || errors.Is(reason, errNoResponder) && len(r.CRLs) > 0:
		reason = why
	}
	return r.noAnswer(reason, now)
}

// noAnswer decides on a missing answer, by the mode. The decision never counts for long.
func (r *Revocation) noAnswer(reason error, now time.Time) (time.Time, error) {
	until := now.Add(retryAfter)
	if r.Mode != ModeSoftFail {
		return until, fmt.Errorf("%w: no answer on revocation: %w", identity.ErrUnavailable, reason)
	}
	r.run.ignored(reason, now)
	return until, nil
}
