// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"sync"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

const (
	// keptIdentities is how many identities a source of a site keeps.
	keptIdentities = 1024

	// maxKeptText is how long the texts may be of which a kept identity is made, in bytes.
	// With the names that are made of them, a full cache has a few times 4 MiB.
	maxKeptText = 4 << 10
)

// kept keeps the identities of a source that judges nothing: they follow from texts. It is for
// one configuration of a source, whose options it does not look at.
type kept struct {
	mu           sync.Mutex
	identities   *lru.Cache[[sha256.Size]byte, *identity.Identity]
	generation   uint64 // grows with each flush
	hits, misses uint64
}

func newKept() *kept {
	return &kept{identities: lru.New[[sha256.Size]byte, *identity.Identity](keptIdentities)}
}

// get returns the identity that was made of exactly these texts, or the one that read
// finds in them. texts are framed ([identity.AppendFramed]), and all that read looks at is in
// them. What read refuses is not kept.
func (k *kept) get(texts []byte, read func() (*identity.Identity, error)) (*identity.Identity, error) {
	if len(texts) > maxKeptText {
		return read()
	}
	key := sha256.Sum256(texts)
	id, since := k.find(key)
	if id != nil {
		return id, nil
	}
	id, err := read()
	if err != nil {
		return nil, err
	}
	id.Memo = new(identity.Memo)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.generation == since {
		k.identities.Put(key, id)
	}
	return id, nil
}

func (k *kept) find(key [sha256.Size]byte) (id *identity.Identity, generation uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.identities.Get(key); found != nil {
		k.hits++
		return *found, k.generation
	}
	k.misses++
	return nil, k.generation
}
