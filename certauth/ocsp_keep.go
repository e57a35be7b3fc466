// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

const (
	// maxAnswers is how many answers are kept, maxDown how many responders that are down.
	maxAnswers = 4096
	maxDown    = 256

	// ocspRefresh is the longest time after which an answer in use is asked for again,
	// however long it counts; ocspRetry is the time after a failed refresh.
	ocspRefresh = time.Hour
	ocspRetry   = 30 * time.Second

	// ocspLook is the time between two looks for answers to refresh, ocspAtOnce how many
	// of them are refreshed at the same time.
	ocspLook   = 5 * time.Second
	ocspAtOnce = 8
)

// keepLocked keeps an answer, unless the present one was made later: then the new one is
// a replay. It returns the answer that counts.
func (c *ocspClient) keepLocked(key ocspKey, entry *ocspEntry, now time.Time) ocspAnswer {
	old := c.entries[key]
	if old != nil && old.answer.fresh(now) && old.answer.thisUpdate.After(entry.answer.thisUpdate) {
		old.due = now.Add(ocspRetry)
		return old.answer
	}
	if old != nil && old.answer.status != entry.answer.status {
		c.changed.Add(1)
	}
	entry.due = now.Add(min(max(entry.answer.until.Sub(now)/5*4, 0), ocspRefresh))
	if old == nil && len(c.entries) >= maxAnswers {
		c.evictLocked(now)
	}
	c.entries[key] = entry
	return entry.answer
}

// evictLocked makes room. It first removes the answers that ended, since they are of no
// use: only if all still count, the one unused for longest. A cache of internal/lru would
// keep an ended answer that was used a moment ago, and remove one that counts.
func (c *ocspClient) evictLocked(now time.Time) {
	var oldest ocspKey
	var last time.Time
	for key, entry := range c.entries {
		if !entry.answer.fresh(now) {
			delete(c.entries, key)
		} else if last.IsZero() || entry.last.Before(last) {
			oldest, last = key, entry.last
		}
	}
	if len(c.entries) >= maxAnswers {
		delete(c.entries, oldest)
	}
}

// refresh asks again, before they end, for the answers that were used since the last
// refresh.
func (c *ocspClient) refresh(ctx context.Context) {
	ticker := time.NewTicker(ocspLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for batch := range slices.Chunk(c.dueKeys(time.Now()), ocspAtOnce) {
			for _, f := range c.startAll(batch, time.Now()) {
				<-f.done // closed in time: a flight has a timeout and ends with ctx
			}
		}
	}
}

func (c *ocspClient) dueKeys(now time.Time) (due []ocspKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, entry := range c.entries {
		if entry.used && !now.Before(entry.due) && entry.answer.fresh(now) {
			due = append(due, key)
		}
	}
	return due
}

func (c *ocspClient) startAll(keys []ocspKey, now time.Time) (flights []*flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if entry := c.entries[key]; entry != nil {
			flights = append(flights, c.startLocked(key, entry.leaf, entry.issuer, now))
		}
	}
	return flights
}

func (c *ocspClient) isDown(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.backOff && time.Now().Before(c.down[host])
}

// noteDown records a responder that could not be reached, so that it is left alone for a
// moment, whichever certificate it was asked about. A bad answer does not count as down:
// a client with a certificate that gets bad answers could switch the check off for a
// revoked one.
func (c *ocspClient) noteDown(host string, err error) {
	if !c.backOff || !errors.Is(err, fetch.ErrUnreachable) || errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.down) >= maxDown {
		clear(c.down)
	}
	c.down[host] = time.Now().Add(retryAfter)
}
