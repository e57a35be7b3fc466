// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	// maxDocument is how long a discovery document may be, in bytes.
	maxDocument = 256 << 10

	// documentLife is how long it counts as fresh.
	documentLife = 12 * time.Hour

	// askAgain is the least time between two fetches that are caused by an endpoint that has
	// gone.
	askAgain = 10 * time.Second

	// maxCalls is how many requests to the token endpoint may be under way: a burst of logins
	// must not become a flood at the issuer.
	maxCalls = 64
)

// Provider is one client at one issuer.
//
// The discovery document is fetched when it is first needed, and counts as fresh for 12 h.
// After that the next use starts a fetch in the background; while that fails, the last
// good document is used, however old it is: a wrong endpoint fails by itself. A failed fetch is
// tried again at the next use, after at least 1 s, and then at growing intervals of up to 60 s.
// There is one fetch at a time. It takes 10 s at most and does not depend on any caller's
// context; callers wait for it only if nothing is known, for as long as their own context lasts.
type Provider struct {
	settings *settings

	// Requests to the token endpoint that are under way. Any client can have invented codes sent
	// there, after starting a login: refreshes have places of their own.
	exchanges, refreshes chan struct{}

	mu      sync.Mutex
	known   *Metadata // nil before the first good document
	due     time.Time // when the next use starts a fetch
	ended   time.Time // when the last one ended
	fetched time.Time // when the last good one did
	err     error     // why it failed
	flight  chan struct{}
	closed  bool
	problem outage.Outage // of the one fetch at a time

	ctx    context.Context
	cancel context.CancelCauseFunc
	wait   sync.WaitGroup
}

// New refuses a configuration that cannot be used. It never waits for the network.
func New(config Config) (*Provider, error) {
	checked, err := config.check()
	if err != nil {
		return nil, err
	}
	p := &Provider{
		settings:  checked,
		exchanges: make(chan struct{}, maxCalls),
		refreshes: make(chan struct{}, maxCalls),
		problem:   outage.Outage{OnProblem: config.OnProblem, Over: "the discovery document of an issuer can be read again"},
	}
	if config.NoDiscovery {
		p.known = &Metadata{
			AuthorizationURL: config.AuthorizationURL, TokenURL: config.TokenURL,
			EndSessionURL: config.EndSessionURL, RevocationURL: config.RevocationURL,
		}
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p, nil
}

// Close ends the fetch in the background and waits for its end. What is known can still be used.
func (p *Provider) Close() {
	p.cancel(errClosed)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wait.Wait()
}

// Warm has the document fetched in the background if it is not known, so that an issuer that
// cannot be reached is logged early.
func (p *Provider) Warm() { _, _, _ = p.look() }

// Metadata returns what is known about the issuer, and waits only if nothing is. The error wraps
// [identity.ErrUnavailable].
func (p *Provider) Metadata(ctx context.Context) (*Metadata, error) {
	known, flight, err := p.look()
	if known != nil {
		return known, nil
	}
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, unavailable("the request ended before the issuer's discovery document was there: %w", ctx.Err())
		}
		if known, err = p.result(); known != nil {
			return known, nil
		}
	}
	return nil, unavailable("the issuer's discovery document is not known: %w", err)
}

// look returns what is known, and starts a fetch if one is due.
func (p *Provider) look() (*Metadata, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flight == nil && !p.closed && p.settings.document != nil && !time.Now().Before(p.due) {
		p.flight = make(chan struct{})
		p.wait.Go(p.fly)
	}
	if p.closed && p.err == nil {
		return p.known, nil, errClosed
	}
	return p.known, p.flight, p.err
}

func (p *Provider) result() (*Metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known, p.err
}

// moved makes the next use ask again, as an endpoint is no longer where the document said.
func (p *Provider) moved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.err == nil && !now.Before(p.ended.Add(askAgain)) {
		p.due = now
	}
}

// fly fetches the document, once.
func (p *Provider) fly() {
	known, err := p.discover()
	switch {
	case err == nil:
		p.problem.End()
	case p.ctx.Err() == nil:
		p.problem.Failed(p.complaint(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.ended, p.err = now, err
	if err == nil {
		p.known, p.fetched, p.due = known, now, now.Add(documentLife)
	} else {
		p.due = now.Add(p.problem.Retry())
	}
	close(p.flight)
	p.flight = nil
}

func (p *Provider) complaint() string {
	if known, _ := p.result(); known != nil {
		return "keeping the last good discovery document of an issuer"
	}
	return "browsers cannot log in, as the discovery document of an issuer is not known"
}

func (p *Provider) discover() (known *Metadata, err error) {
	defer identity.Recovered(&err, nil, "reading a discovery document")
	from := p.settings.document
	content, _, err := fetch.Get(p.ctx, p.via(from), from, fetch.Limit{Bytes: maxDocument, Time: callTimeout})
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoints: %w", err)
	}
	known, err = parseMetadata(content, p.settings)
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoints: the document of %s: %w", identity.Quote(from.Host), err)
	}
	return known, nil
}

// via returns a transport for one request. Its connection is not kept: a request with a code
// or a refresh token that fails on an old connection, which the issuer is just closing, may have
// been received or not, and cannot be repeated. The roots may have changed by the next time.
func (p *Provider) via(to *url.URL) http.RoundTripper {
	if p.settings.Transport != nil {
		return p.settings.Transport
	}
	options := fetch.Options{Timeout: callTimeout, Proxy: !fetch.IsLoopback(to.Hostname()), Once: true}
	if to.Scheme == "http" {
		options.Guard = fetch.LoopbackOnly(errNotLoopback) // the name localhost may resolve to any address
	}
	if p.settings.Roots != nil {
		options.Roots = p.settings.Roots()
	}
	return fetch.NewTransport(options)
}
