// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package tokencache stands in front of every verification of a bearer token, be it local
// (OIDC) or remote (TokenReview). It remembers verdicts for a short while, has each token
// judged once however many requests bring it, and bounds what a flood of invented tokens
// can cost: in memory, in questions to the API server, and for users who were there before.
// The design is that of the API server's own cache (k8s.io/apiserver,
// pkg/authentication/token/cache).
//
// A request goes through it in this order:
//
//   - [Cache.Key] hashes the token, and whatever else its verdict rests on;
//   - [Cache.Get] looks for a verdict;
//   - [Cache.Judge] finds one out where there is none.
//
// Memory: at most Size good verdicts of 64 KiB each, which would be 256 MiB by default; a
// user with a dozen groups takes about 1 kB, which makes 4 MiB. To this come Size bad
// verdicts of at most 1 KiB of text each.
package tokencache

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"
)

// Key names a verdict: a keyed hash over all that it rests on. It says nothing of the token
// to whoever reads it, and nobody can make tokens whose keys crowd a map.
type Key [sha256.Size]byte

// Config says how much is kept, and for how long. What is zero or less gets its default.
type Config struct {
	// Size is how many good verdicts are kept, and how many bad ones beside them.
	// Default: 4096.
	Size int

	// TTL is how long a good verdict is believed, never past its Expires. Default: 10s.
	TTL time.Duration

	// NegativeTTL is how long a bad one is. Default: 10s.
	NegativeTTL time.Duration

	// Timeout is how long one judgement may take, from start to end. Default: 10s.
	Timeout time.Duration

	// MaxUnknown is how many tokens that are not known as good may be under judgement at
	// once; one more is refused with [identity.ErrUnavailable]. Default: 1024.
	MaxUnknown int
}

// Cache keeps verdicts. Make one with [New], and end it with [Cache.Close].
type Cache struct {
	config  Config
	hashers sync.Pool // of *hasher

	// base is the context of all judgements: none is cut off because the client that
	// happened to be the first to bring the token went away.
	base   context.Context
	cancel context.CancelFunc

	mu sync.Mutex

	// Good and bad verdicts are apart, so that no flood of bad tokens pushes a good one out.
	good *lru[accepted]
	bad  *lru[rejected]

	flights map[Key]*flight
	unknown int // flights under way, of keys that were not known at their start
}

// New makes an empty cache.
func New(config Config) *Cache {
	positive(&config.Size, 4096)
	positive(&config.TTL, 10*time.Second)
	positive(&config.NegativeTTL, 10*time.Second)
	positive(&config.Timeout, 10*time.Second)
	positive(&config.MaxUnknown, 1024)
	c := &Cache{
		config:  config,
		good:    newLRU[accepted](config.Size),
		bad:     newLRU[rejected](config.Size),
		flights: make(map[Key]*flight),
	}
	c.base, c.cancel = context.WithCancel(context.Background())
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // which never fails: it ends the process first
	c.hashers.New = func() any { return &hasher{mac: hmac.New(sha256.New, secret)} }
	return c
}

// positive puts in a default.
func positive[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// hasher is a keyed hash, and the room for what goes in and comes out.
type hasher struct {
	mac       hash.Hash
	text, sum []byte
}

// Key returns the key of a verdict that rests on these parts: the whole token, and whatever
// else makes it another verdict, such as the name of the source and the audiences. Lists
// that differ have different keys, also where their parts joined are the same text; a cache
// of Traefik's that joined them gave one user another's verdict (CVE-2026-71326). Another
// cache has other keys.
func (c *Cache) Key(parts ...string) Key {
	h := c.hashers.Get().(*hasher)
	h.text = frame(h.text[:0], parts)
	h.mac.Reset()
	h.mac.Write(h.text)
	clear(h.text) // the pool outlives the request, and keeps no token
	h.sum = h.mac.Sum(h.sum[:0])
	key := Key(h.sum)
	c.hashers.Put(h)
	return key
}

// frame appends the parts, each behind its length, so that the bytes can be read back in one
// way only.
func frame(text []byte, parts []string) []byte {
	for _, part := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}

// Get returns what is known of a key at now, and whether anything is: a good verdict, or the
// error of a bad one, which has the text and the sentinel of what the judgement returned and
// nothing else that it wrapped. The user's slices and maps are shared with everybody who
// gets the verdict, and must not be changed.
func (c *Cache) Get(key Key, now time.Time) (verdict Verdict, found bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookLocked(key, now)
}

// Flush forgets all verdicts, for when what they rest on has changed: first change it, then
// flush. Judgements under way go on for those who wait, but what they find is not kept, and
// nobody joins them any more. Which keys are known is remembered: a change of trust must not
// put everybody in line behind a flood.
func (c *Cache) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
}

// Close ends the judgements under way, without waiting until they have ended, and forgets
// everything. [Cache.Judge] fails from then on with [identity.ErrUnavailable].
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel()
	c.flushLocked()
	c.good.clear()
}

func (c *Cache) flushLocked() {
	for found := range c.good.all() {
		found.forget()
	}
	c.bad.clear()
	c.flights = make(map[Key]*flight)
}
