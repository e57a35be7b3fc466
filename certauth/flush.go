// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import "time"

// Stats says what a cache holds at one moment.
type Stats struct {
	Size      int            // how many verdicts of each kind there may be
	Good, Bad int            // verdicts and refusals that count
	Hits      uint64         // of [Cache.Get]
	Misses    uint64         // of [Cache.Get]
	Users     map[string]int // how many good verdicts each user has
}

// Stats looks at the whole cache, under its lock.
func (c *Cache) Stats(now time.Time) Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := Stats{Size: c.size, Hits: c.hits, Misses: c.misses, Users: make(map[string]int)}
	for _, good := range c.verdicts.All() {
		if now.Before(good.until) {
			stats.Good++
			stats.Users[good.User.Username]++
		}
	}
	for _, bad := range c.refusals.All() {
		if now.Before(bad.until) {
			stats.Bad++
		}
	}
	return stats
}

// Generation grows with each [Cache.Flush]. A verdict that was begun under another one is not
// kept.
func (c *Cache) Generation() uint64 { return c.generation.Load() }

// Close forgets all verdicts, and keeps none from now on.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.Flush(func(string) bool { return true })
}

// Flush forgets the verdicts of users that match, and all refusals, which say nothing about a
// user. Verdicts that are reached meanwhile are not kept. It returns how many were forgotten
// that still counted.
func (c *Cache) Flush(matches func(user string) bool) (good, bad int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	now := time.Now()
	for key, kept := range c.verdicts.All() {
		if !matches(kept.User.Username) {
			continue
		}
		if now.Before(kept.until) {
			good++
		}
		c.verdicts.Remove(key)
	}
	for _, kept := range c.refusals.All() {
		if now.Before(kept.until) {
			bad++
		}
	}
	c.refusals.Clear()
	return good, bad
}
