// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

func of(name string) func(*tokencache.Verdict) bool {
	return func(v *tokencache.Verdict) bool { return v.User.Username == name }
}

func TestFlushForgetsWhatMatchesAndAllRefusals(t *testing.T) {
	cache := newCache(t, tokencache.Config{Size: 8})
	alice, bob, bad := cache.Key("alice's"), cache.Key("bob's"), cache.Key("bad")
	put(t, cache, alice, verdictOf("alice"), nil)
	put(t, cache, bob, verdictOf("bob"), nil)
	put(t, cache, bad, tokencache.Verdict{}, refused(identity.ErrRejected))
	stats := cache.Stats(time.Now())
	if stats.Size != 8 || stats.Good != 2 || stats.Bad != 1 || stats.Judging != 0 || !maps.Equal(stats.Users, map[string]int{"alice": 1, "bob": 1}) {
		t.Errorf("before: %+v", stats)
	}
	if good, refusals := cache.Flush(of("alice")); good != 1 || refusals != 1 {
		t.Errorf("forgot %d and %d", good, refusals)
	}
	wantGood(t, cache, alice, "")
	wantGood(t, cache, bob, "bob")
	wantKnown(t, cache, alice, true) // it still comes before tokens that were never good
	stats = cache.Stats(time.Now())
	if stats.Good != 1 || stats.Bad != 0 || stats.Hits != 1 || stats.Misses != 1 || !maps.Equal(stats.Users, map[string]int{"bob": 1}) {
		t.Errorf("after: %+v", stats)
	}
	if good, refusals := cache.Flush(of("alice")); good != 0 || refusals != 0 {
		t.Errorf("forgot %d and %d again", good, refusals)
	}
}

// What has ended is not counted, although its memory is not given back yet.
func TestStatsAndFlushCountWhatStillHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{TTL: time.Second, NegativeTTL: time.Second})
		put(t, cache, cache.Key("alice's"), verdictOf("alice"), nil)
		put(t, cache, cache.Key("bad"), tokencache.Verdict{}, refused(identity.ErrRejected))
		time.Sleep(time.Second)
		if stats := cache.Stats(time.Now()); stats.Good != 0 || stats.Bad != 0 || len(stats.Users) != 0 {
			t.Errorf("there are %+v", stats)
		}
		if good, bad := cache.Flush(of("alice")); good != 0 || bad != 0 {
			t.Errorf("forgot %d and %d", good, bad)
		}
	})
}

// A judgement began before the flush and ends after it: those who wait for it get its verdict,
// and nobody after them.
func TestAJudgementUnderWayAtAFlushIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{})
		key := cache.Key("alice's")
		for _, test := range []struct {
			name    string
			verdict tokencache.Verdict
			err     error
		}{
			{"a good one", verdictOf("alice"), nil},
			{"a bad one", tokencache.Verdict{}, refused(identity.ErrRejected)},
		} {
			go func() {
				_, err := cache.Judge(t.Context(), key, func(context.Context, bool) (tokencache.Verdict, error) {
					time.Sleep(time.Second)
					return test.verdict, test.err
				})
				if !errors.Is(err, test.err) {
					t.Errorf("%s: %v", test.name, err)
				}
			}()
			synctest.Wait()
			if stats := cache.Stats(time.Now()); stats.Judging != 1 {
				t.Errorf("%s: %+v", test.name, stats)
			}
			cache.Flush(of("nobody at all"))
			began := time.Now()
			later, err := cache.Judge(t.Context(), key, says(verdictOf("alice, judged again"), nil))
			if err != nil || later.User.Username != "alice, judged again" || time.Since(began) != 0 {
				t.Errorf("%s: a later caller gets %q, %v", test.name, later.User.Username, err)
			}
			time.Sleep(2 * time.Second)
			wantGood(t, cache, key, "alice, judged again")
			cache.Flush(of("alice, judged again"))
		}
	})
}
