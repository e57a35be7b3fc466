// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"sync"
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
	until   time.Time // how long the verdict may be used
}

// Cache keeps good verdicts, the most recently used ones, for as long as they stay true.
// Bad ones are not kept: verifying again costs no more than a handshake, and a client
// that sends garbage could push good ones out.
type Cache struct {
	mu       sync.Mutex
	verdicts *lru.Cache[Key, Verdict]
}

// NewCache makes a cache of at most size verdicts.
func NewCache(size int) *Cache {
	return &Cache{verdicts: lru.New[Key, Verdict](size)}
}

// Get returns a verdict that is still true at now. The user's slices and maps are
// shared and must not be changed.
func (c *Cache) Get(key Key, now time.Time) (Verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.verdicts.Get(key)
	if found == nil {
		return Verdict{}, false
	}
	if !now.Before(found.until) {
		c.verdicts.Remove(key)
		return Verdict{}, false
	}
	return *found, true
}

// Put keeps a verdict until the given time at the latest.
func (c *Cache) Put(key Key, verdict Verdict, until time.Time) {
	verdict.until = until
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdicts.Put(key, verdict)
}
