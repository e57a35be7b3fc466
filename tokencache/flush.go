// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import "time"

// Stats says what a cache holds at one moment.
type Stats struct {
	Size      int            // how many verdicts of each kind there may be
	Good, Bad int            // verdicts that count
	Judging   int            // judgements under way
	Hits      uint64         // of [Cache.Get]
	Misses    uint64         // of [Cache.Get]
	Users     map[string]int // how many good verdicts each user has
}

// Stats looks at the whole cache, under its lock.
func (c *Cache) Stats(now time.Time) Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := Stats{Size: c.config.Size, Judging: len(c.flights), Hits: c.hits, Misses: c.misses, Users: make(map[string]int)}
	for _, good := range c.good.All() {
		if good.fresh(now) {
			stats.Good++
			stats.Users[good.verdict.User.Username]++
		}
	}
	for _, bad := range c.bad.All() {
		if now.Before(bad.until) {
			stats.Bad++
		}
	}
	return stats
}

// Flush forgets the good verdicts that match, and all bad ones, since a refusal says nothing
// about a user. Callers of [Cache.Get] and [Cache.Judge] that come later do not get a verdict
// whose judgement began earlier: judgements under way go on for those who wait for them
// already, and are not kept. The key of a token that was good stays known. It returns how many
// verdicts were forgotten that still counted.
func (c *Cache) Flush(matches func(*Verdict) bool) (good, bad int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flights = make(map[Key]*flight) // first of all: what they find is from before, whoever it is about
	now := time.Now()
	for _, kept := range c.good.All() {
		if kept.until.IsZero() || !matches(&kept.verdict) {
			continue
		}
		if kept.fresh(now) {
			good++
		}
		kept.forget()
	}
	for _, kept := range c.bad.All() {
		if now.Before(kept.until) {
			bad++
		}
	}
	c.bad.Clear()
	return good, bad
}
