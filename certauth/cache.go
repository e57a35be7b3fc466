// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

// Key names a verdict: a hash over the whole certificate material and over everything the
// verdict depends on. Two keys are equal only if every byte of both is.
type Key [32]byte

// Verdict is the result for a certificate that proved an identity.
type Verdict struct {
	User    identity.User
	Expires time.Time // when the first certificate of the chain expires

	// Memo comes with this verdict each time; nil if there is no cache.
	Memo *identity.Memo

	until time.Time // how long the verdict may be used
}

// Cache keeps verdicts, the most recently used ones, for as long as they stay true. Good ones
// and refusals have places of their own: a client that sends garbage cannot push good ones
// out.
type Cache struct {
	buffers sync.Pool // of *[]byte: what is hashed, which is no secret

	mu       sync.Mutex
	verdicts *lru.Cache[Key, Verdict]
	refusals *lru.Cache[Key, refusal]
	size     int
	closed   bool

	generation   atomic.Uint64 // grows with each flush, under mu
	hits, misses uint64        // of Get
}

type refusal struct {
	err   error
	until time.Time
}

// NewCache makes a cache of at most size verdicts of each kind.
func NewCache(size int) *Cache {
	c := &Cache{verdicts: lru.New[Key, Verdict](size), refusals: lru.New[Key, refusal](size), size: size}
	c.buffers.New = func() any { return new([]byte) }
	return c
}

// Get returns the verdict that is still true at now, or the refusal. The user's slices and
// maps are shared and must not be changed.
func (c *Cache) Get(key Key, now time.Time) (verdict Verdict, found bool, refused error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	verdict, found, refused = c.lookLocked(key, now)
	if found {
		c.hits++
	} else {
		c.misses++
	}
	return verdict, found, refused
}

func (c *Cache) lookLocked(key Key, now time.Time) (verdict Verdict, found bool, refused error) {
	if good := c.verdicts.Get(key); good != nil {
		if now.Before(good.until) {
			return *good, true, nil
		}
		c.verdicts.Remove(key)
	}
	if bad := c.refusals.Get(key); bad != nil {
		if now.Before(bad.until) {
			return Verdict{}, true, bad.err
		}
		c.refusals.Remove(key)
	}
	return Verdict{}, false, nil
}

// Put keeps a verdict until the given time at the latest. since is the [Cache.Generation] from
// before the verdict was looked for.
func (c *Cache) Put(key Key, verdict Verdict, until time.Time, since uint64) {
	verdict.until = until
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() == since && !c.closed {
		c.verdicts.Put(key, verdict)
	}
}

// Refuse keeps a refusal until the given time at the latest, see [Cache.Put].
func (c *Cache) Refuse(key Key, err error, until time.Time, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() == since && !c.closed {
		c.refusals.Put(key, refusal{err, until})
	}
}
