// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxOCSP is the largest answer, in bytes.
	maxOCSP = 64 << 10

	// maxResponders is how many of a certificate's responders are tried, all in one timeout.
	maxResponders = 3
)

var errNoResponder = errors.New("no ocsp responder: the certificate names none and none is configured")

// ocspKey is a certificate as a responder knows it, by its issuer's name and key and its
// serial. The name and the key together, since an authority is not identified by one of
// them alone.
type ocspKey struct {
	issuer authority
	serial string
}

// ocspEntry is a cached answer, with the certificates that are needed to ask again.
type ocspEntry struct {
	answer       ocspAnswer
	leaf, issuer *x509.Certificate
	due          time.Time // when to ask again in the background
	used         bool      // since it was fetched
	last         time.Time // use
}

// flight is a question on its way, for all requests that wait for the same answer. Two
// other packages have flights of their own, since the rules differ. Here a flight may
// also start while the last answer still counts, and then no request waits for it; the
// error of such a refresh is logged and not returned; and all flights end when
// revocation is closed. In tokencache the verdict on a token is found out only when a
// request needs it, and the number of flights is bounded. In identity/oidc the keys of an
// issuer have a single flight, which does not start too soon after the last one.
type flight struct {
	done   chan struct{}
	answer ocspAnswer
	err    error
}

// ocspClient asks responders and caches their answers. It never caches the lack of one.
type ocspClient struct {
	fetch     *fetcher
	responder string // the configured one
	backOff   bool   // whether responders that are down are left alone for a moment
	spawn     func(func(context.Context)) bool
	revoked   isRevoked
	changed   *atomic.Uint64
	report    func(string, error)

	mu      sync.Mutex
	entries map[ocspKey]*ocspEntry
	flights map[ocspKey]*flight
	down    map[string]time.Time // by host, until when
}

func newOCSPKey(leaf, issuer *x509.Certificate) ocspKey {
	return ocspKey{authorityOf(issuer), serialKey(leaf.SerialNumber)}
}

// ask returns the answer about leaf, cached or new. The question outlives ctx, so that a
// client that hangs up does not end the wait of other clients.
func (c *ocspClient) ask(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) (ocspAnswer, error) {
	key := newOCSPKey(leaf, issuer)
	c.mu.Lock()
	if entry := c.entries[key]; entry != nil && entry.answer.fresh(now) {
		answer := entry.answer
		entry.used, entry.last = true, now
		if !now.Before(entry.due) {
			c.startLocked(key, leaf, issuer, now)
		}
		c.mu.Unlock()
		return answer, nil
	}
	f := c.startLocked(key, leaf, issuer, now)
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return ocspAnswer{}, ctx.Err()
	case <-f.done:
	}
	if f.err == nil && !f.answer.fresh(now) {
		return ocspAnswer{}, fmt.Errorf("ocsp answer: %w", errStale)
	}
	return f.answer, f.err
}

// startLocked starts a flight, or returns the one under way.
func (c *ocspClient) startLocked(key ocspKey, leaf, issuer *x509.Certificate, now time.Time) *flight {
	if f := c.flights[key]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	c.flights[key] = f
	if !c.spawn(func(ctx context.Context) { c.fly(ctx, f, key, leaf, issuer, now) }) {
		delete(c.flights, key)
		f.err = context.Canceled
		close(f.done)
	}
	return f
}

func (c *ocspClient) fly(ctx context.Context, f *flight, key ocspKey, leaf, issuer *x509.Certificate, now time.Time) {
	answer, err := c.query(ctx, leaf, issuer, now)
	c.mu.Lock()
	delete(c.flights, key)
	entry := c.entries[key]
	refresh := entry != nil && entry.answer.fresh(now)
	switch {
	case err == nil:
		answer = c.keepLocked(key, &ocspEntry{answer: answer, leaf: leaf, issuer: issuer, last: now}, now)
	case entry != nil:
		entry.due = now.Add(ocspRetry)
	}
	f.answer, f.err = answer, err
	c.mu.Unlock()
	close(f.done)
	if err != nil && refresh && ctx.Err() == nil {
		c.report("refreshing ocsp answer", err)
	}
}

// query asks the responders in turn until one has a usable answer, in one timeout for all.
func (c *ocspClient) query(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) (answer ocspAnswer, err error) {
	defer identity.Recovered(&err, nil, "asking about a certificate")
	ctx, cancel := context.WithTimeout(ctx, c.fetch.timeout)
	defer cancel()
	request, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return ocspAnswer{}, fmt.Errorf("making ocsp request: %w", err)
	}
	targets, err := c.targets(leaf)
	for _, to := range targets {
		var body []byte
		if c.isDown(to.url.Host) {
			err = fmt.Errorf("fetching ocsp answer: %s was %w a moment ago", identity.Quote(to.url.Host), fetch.ErrUnreachable)
			continue
		}
		body, err = c.fetch.post(ctx, to, "application/ocsp-request", request, maxOCSP)
		if err != nil {
			c.noteDown(to.url.Host, err)
			err = fmt.Errorf("fetching ocsp answer: %w", err)
			if ctx.Err() != nil {
				break // there is no time left for the others
			}
			continue
		}
		answer, err = verifyAnswer(body, leaf, issuer, now, c.revoked)
		if err == nil {
			return answer, nil
		}
	}
	return ocspAnswer{}, err
}

// targets are the configured responder, or those in the certificate's AIA extension. The
// error says why there are none.
func (c *ocspClient) targets(leaf *x509.Certificate) (targets []target, reason error) {
	if c.responder != "" {
		to, err := c.fetch.configured(c.responder)
		if err != nil {
			return nil, err
		}
		return []target{to}, nil
	}
	reason = errNoResponder
	for _, raw := range leaf.OCSPServer[:min(len(leaf.OCSPServer), maxResponders)] {
		to, err := c.fetch.named(raw)
		if err != nil {
			reason = fmt.Errorf("ocsp responder in the certificate: %w", err)
			continue
		}
		targets = append(targets, to)
	}
	return targets, reason
}
