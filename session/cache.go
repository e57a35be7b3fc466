// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"slices"
	"sync"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

// cache keeps opened cookies: inflating one costs more than everything else that is done with
// it. Only good ones are kept, so that no client can fill it.
type cache struct {
	hasher  *hasher
	mu      sync.Mutex
	keys    *ring // under which the entries were opened
	entries *lru.Cache[sum, cached]
}

// cached is a *Session or a *ticket. It is shared, and never changed.
type cached any

// get returns an entry. A change of the keys empties the cache: a cookie whose key was removed
// does not open any more.
func (c *cache) get(name sum, keys *ring) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys != keys {
		c.keys = keys
		c.entries.Clear()
	}
	entry := c.entries.Get(name)
	if entry == nil {
		return nil, false
	}
	return *entry, true
}

// put keeps an entry that was opened while these were the keys.
func (c *cache) put(name sum, keys *ring, entry cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == keys {
		c.entries.Put(name, entry)
	}
}

// openIn opens the session cookie of a request for one purpose, and decodes its content, or
// finds the result of the last time. decode fails with [ErrUnreadable].
func openIn[T any](ctx context.Context, j *Jar, purpose string, lines []string, site Site, decode func([]byte) (*T, error)) (*T, error) {
	name := j.names.full(j.names.session, site)
	values, err := collect(lines, name)
	if err != nil {
		return nil, err
	}
	keys, err := j.keys.current()
	if err != nil {
		return nil, err
	}
	// All that the result depends on, besides the keys.
	key := j.opened.hasher.sum(append(slices.Clip(values), purpose, name, j.names.place(site))...)
	if entry, ok := j.opened.get(key, keys); ok {
		if opened, ok := entry.(*T); ok {
			return opened, nil
		}
	}
	w, payload, err := join(values)
	if err != nil {
		return nil, err
	}
	sealed, ok := unbase64(payload)
	if !ok {
		return nil, ErrUnreadable
	}
	content, err := j.keys.open(ctx, purpose, sealed, w.head(), name, j.names.place(site))
	if err != nil {
		return nil, err
	}
	opened, err := decode(content)
	if err != nil {
		return nil, err
	}
	j.opened.put(key, keys, opened)
	return opened, nil
}
