// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"container/list"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Key names a verdict: a hash over the whole certificate material and over what it was
// judged by. Two keys are equal only if every byte of both is.
type Key [32]byte

// Verdict is what was found out about a certificate.
type Verdict struct {
	User    identity.User
	Expires time.Time // when the first certificate of the chain expires
	until   time.Time // how long the verdict may be used
}

// Cache keeps good verdicts, the latest used ones, for as long as they stay true. Bad
// ones are not kept: judging again costs what a handshake costs, and a cache of them
// would let whoever sends garbage push good ones out.
type Cache struct {
	mu      sync.Mutex
	size    int
	entries map[Key]*list.Element
	used    *list.List // of *entry, the latest used first
}

type entry struct {
	key     Key
	verdict Verdict
}

// NewCache makes a cache of at most size verdicts.
func NewCache(size int) *Cache {
	return &Cache{size: size, entries: make(map[Key]*list.Element), used: list.New()}
}

// Get returns a verdict that is still true at now. The user's slices and maps are
// shared and must not be changed.
func (c *Cache) Get(key Key, now time.Time) (Verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[key]
	if !ok {
		return Verdict{}, false
	}
	found := element.Value.(*entry)
	if !now.Before(found.verdict.until) {
		c.remove(element)
		return Verdict{}, false
	}
	c.used.MoveToFront(element)
	return found.verdict, true
}

// Put keeps a verdict until the given time at the latest.
func (c *Cache) Put(key Key, verdict Verdict, until time.Time) {
	verdict.until = until
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[key]; ok {
		element.Value.(*entry).verdict = verdict
		c.used.MoveToFront(element)
		return
	}
	for c.used.Len() >= c.size {
		c.remove(c.used.Back())
	}
	c.entries[key] = c.used.PushFront(&entry{key, verdict})
}

func (c *Cache) remove(element *list.Element) {
	delete(c.entries, element.Value.(*entry).key)
	c.used.Remove(element)
}
