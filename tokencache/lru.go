// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"container/list"
	"iter"
)

// lru keeps the latest used values, size of them. It is not safe for concurrent use.
type lru[V any] struct {
	size    int
	entries map[Key]*list.Element
	used    *list.List // of *entry[V], the latest used first
}

type entry[V any] struct {
	key   Key
	value V
}

func newLRU[V any](size int) *lru[V] {
	l := &lru[V]{size: size}
	l.clear()
	return l
}

// get returns the value of a key, to be changed in place, and marks it as used; nil when
// there is none.
func (l *lru[V]) get(key Key) *V {
	element, ok := l.entries[key]
	if !ok {
		return nil
	}
	l.used.MoveToFront(element)
	return &element.Value.(*entry[V]).value
}

// put sets the value of a key. The one unused for longest makes room.
func (l *lru[V]) put(key Key, value V) {
	if there := l.get(key); there != nil {
		*there = value
		return
	}
	for l.used.Len() >= l.size {
		l.remove(l.used.Back().Value.(*entry[V]).key)
	}
	l.entries[key] = l.used.PushFront(&entry[V]{key, value})
}

func (l *lru[V]) remove(key Key) {
	if element, ok := l.entries[key]; ok {
		delete(l.entries, key)
		l.used.Remove(element)
	}
}

// all yields the values, to be changed in place.
func (l *lru[V]) all() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for element := l.used.Front(); element != nil; element = element.Next() {
			if !yield(&element.Value.(*entry[V]).value) {
				return
			}
		}
	}
}

func (l *lru[V]) clear() {
	l.entries, l.used = make(map[Key]*list.Element), list.New()
}
