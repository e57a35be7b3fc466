// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lru

import (
	"container/list"
	"iter"
)

// Cache keeps the most recently used values, size of them. It is not safe for concurrent
// use. Make one with [New].
type Cache[K comparable, V any] struct {
	size    int
	entries map[K]*list.Element
	used    *list.List // of *entry[K, V], the most recently used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New makes a cache of at most size values. A size below one is one.
func New[K comparable, V any](size int) *Cache[K, V] {
	c := &Cache[K, V]{size: max(size, 1)}
	c.Clear()
	return c
}

// Get returns the value of a key, to be changed in place, and marks it as used. It is nil
// if there is none.
func (c *Cache[K, V]) Get(key K) *V {
	element, ok := c.entries[key]
	if !ok {
		return nil
	}
	c.used.MoveToFront(element)
	return &element.Value.(*entry[K, V]).value
}

// Put sets the value of a key. If there is no room, the value that was unused for longest
// is removed.
func (c *Cache[K, V]) Put(key K, value V) {
	if there := c.Get(key); there != nil {
		*there = value
		return
	}
	for c.used.Len() >= c.size {
		c.Remove(c.used.Back().Value.(*entry[K, V]).key)
	}
	c.entries[key] = c.used.PushFront(&entry[K, V]{key, value})
}

// Remove removes a key, if it is there.
func (c *Cache[K, V]) Remove(key K) {
	if element, ok := c.entries[key]; ok {
		delete(c.entries, key)
		c.used.Remove(element)
	}
}

// All are the values by key, to be changed in place, in no order. They do not count as used. A
// value may be removed meanwhile.
func (c *Cache[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for key, element := range c.entries {
			if !yield(key, &element.Value.(*entry[K, V]).value) {
				return
			}
		}
	}
}

// Len returns how many values there are.
func (c *Cache[K, V]) Len() int { return len(c.entries) }

// Clear removes all values.
func (c *Cache[K, V]) Clear() {
	c.entries, c.used = make(map[K]*list.Element), list.New()
}
