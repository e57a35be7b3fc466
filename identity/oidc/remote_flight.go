// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// await waits for a fetch, unless too many tokens do.
func (k *RemoteKeys) await(ctx context.Context, flight <-chan struct{}) error {
	defer k.waiting.Add(-1)
	if k.waiting.Add(1) > maxWaiting {
		return fmt.Errorf("%w: too many tokens wait for the issuer's keys", identity.ErrUnavailable)
	}
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the request ended before the issuer's keys were there: %w", identity.ErrUnavailable, ctx.Err())
	}
}

// join returns the fetch under way, and begins one if may allows it. Nil: there is no fetch.
func (k *RemoteKeys) join(may func(*keyState, time.Time) bool) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight == nil && !k.closed && may(k.state.Load(), time.Now()) {
		k.flight = make(chan struct{})
		k.wait.Go(k.fly)
	}
	return k.flight
}

// fly fetches the keys, once.
func (k *RemoteKeys) fly() {
	ctx, cancel := context.WithTimeout(k.ctx, fetchTimeout)
	defer cancel()
	set, skipped, life, err := k.fetch(ctx)
	last, now := k.state.Load(), time.Now()
	var next *keyState
	if err == nil {
		next = last.succeeded(set, life, now)
		k.log.read(set, skipped)
	} else {
		next = last.failed(err, now)
		if k.ctx.Err() == nil {
			k.log.failed(err, last.isUsable(now))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Store(next)
	close(k.flight)
	k.flight = nil
}

// fetch finds where the keys are, if that is not known, and fetches them.
func (k *RemoteKeys) fetch(ctx context.Context) (set *keySet, skipped error, life time.Duration, err error) {
	defer identity.Recovered(&err, nil, "reading keys")
	from, fresh, err := k.discovery.find(ctx, &k.fetcher)
	if err != nil {
		return nil, nil, 0, err
	}
	content, header, err := k.fetcher.get(ctx, from, maxKeySet)
	if isGone(err) {
		k.discovery.forget()
		if !fresh {
			if from, _, err = k.discovery.find(ctx, &k.fetcher); err != nil {
				return nil, nil, 0, err
			}
			content, header, err = k.fetcher.get(ctx, from, maxKeySet)
		}
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("fetching keys: %w", err)
	}
	set, skipped, err = parseKeySet(content)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("fetching keys from %s: %w", identity.Quote(from.Host), err)
	}
	return set, skipped, lifetime(header), nil
}
