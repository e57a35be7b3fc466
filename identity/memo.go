// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "sync/atomic"

// maxNotes is how many owners may have a note on one verdict: more than there are sites with
// one source in common, as a rule.
const maxNotes = 8

// Memo is a place beside a verdict for what others derive from it, so that they derive it
// once and not for every request. It belongs to the verdict: a source that judges a
// credential again, or keeps a verdict under another key, makes a new Memo. It is safe for
// concurrent use; a nil Memo keeps nothing.
type Memo struct {
	notes atomic.Pointer[note]
}

// Owner is who wrote a note. Everything that the note depends on, besides the verdict, must
// be the owner's and must never change: a new configuration has new owners, and finds none of
// the old notes.
type Owner struct{ _ byte } // not empty, so that each has an address of its own

// note is immutable. It holds on to its owner, so that no other owner can get its address.
type note struct {
	owner *Owner
	value any
	next  *note
	count int
}

// Get returns the note of an owner, or nil. It must not be changed: other requests have it
// too.
func (m *Memo) Get(owner *Owner) any {
	if m == nil {
		return nil
	}
	for n := m.notes.Load(); n != nil; n = n.next {
		if n.owner == owner {
			return n.value
		}
	}
	return nil
}

// Put writes the note of an owner. When there are too many, all others are forgotten, which
// costs their owners no more than deriving it again: they may be those of configurations that
// are no longer in use.
func (m *Memo) Put(owner *Owner, value any) {
	if m == nil {
		return
	}
	for {
		first := m.notes.Load()
		added := &note{owner: owner, value: value, next: first, count: 1}
		if first != nil {
			added.count = first.count + 1
		}
		if added.count > maxNotes {
			added.next, added.count = nil, 1
		}
		if m.notes.CompareAndSwap(first, added) {
			return
		}
	}
}
