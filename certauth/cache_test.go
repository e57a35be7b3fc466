// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func cacheKey(n int) (key certauth.Key) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

func verdictOf(name string) certauth.Verdict {
	return certauth.Verdict{User: identity.User{Username: name}}
}

func wantCached(t *testing.T, cache *certauth.Cache, n int, now time.Time, want string) {
	t.Helper()
	verdict, ok, _ := cache.Get(cacheKey(n), now)
	if ok != (want != "") || verdict.User.Username != want {
		t.Errorf("verdict %d is %q, %v, want %q", n, verdict.User.Username, ok, want)
	}
}

// A client that sends certificates must not fill the memory, nor push out verdicts in
// use.
func TestCacheKeepsTheLatestUsed(t *testing.T) {
	cache, now := certauth.NewCache(3), time.Now()
	for n := 1; n <= 3; n++ {
		cache.Put(cacheKey(n), verdictOf(strconv.Itoa(n)), now.Add(time.Hour), 0)
	}
	wantCached(t, cache, 1, now, "1") // so that 2 is the one unused for longest
	cache.Put(cacheKey(4), verdictOf("4"), now.Add(time.Hour), 0)
	wantCached(t, cache, 2, now, "")
	for _, n := range []int{1, 3, 4} {
		wantCached(t, cache, n, now, strconv.Itoa(n))
	}
	cache.Put(cacheKey(1), verdictOf("again"), now.Add(time.Hour), 0) // a use, too
	cache.Put(cacheKey(5), verdictOf("5"), now.Add(time.Hour), 0)
	wantCached(t, cache, 3, now, "")
	wantCached(t, cache, 1, now, "again")
	for n := range 1000 {
		cache.Put(cacheKey(100+n), verdictOf("x"), now.Add(time.Hour), 0)
	}
	kept := 0
	for n := range 1100 {
		if _, ok, _ := cache.Get(cacheKey(n), now); ok {
			kept++
		}
	}
	if kept != 3 {
		t.Errorf("%d verdicts are kept, want 3", kept)
	}
}

func TestCacheDropsAVerdictInTime(t *testing.T) {
	cache, now := certauth.NewCache(2), time.Now()
	cache.Put(cacheKey(1), verdictOf("alice"), now.Add(time.Minute), 0)
	wantCached(t, cache, 1, now.Add(time.Minute-1), "alice")
	wantCached(t, cache, 1, now.Add(time.Minute), "") // until is not included
	wantCached(t, cache, 1, now, "")                  // and it does not come back
	cache.Put(cacheKey(1), verdictOf("alice"), now, 0)
	wantCached(t, cache, 1, now, "")
	cache.Put(cacheKey(1), verdictOf("alice"), now.Add(-time.Minute), 0)
	wantCached(t, cache, 1, now, "")
}

func TestCachePutReplacesVerdictAndTime(t *testing.T) {
	cache, now := certauth.NewCache(2), time.Now()
	cache.Put(cacheKey(1), verdictOf("alice"), now.Add(time.Hour), 0)
	cache.Put(cacheKey(1), verdictOf("bob"), now.Add(time.Minute), 0)
	wantCached(t, cache, 1, now, "bob")
	wantCached(t, cache, 1, now.Add(2*time.Minute), "")
	cache.Put(cacheKey(2), verdictOf("carol"), now.Add(time.Hour), 0)
	cache.Put(cacheKey(3), verdictOf("dave"), now.Add(time.Hour), 0)
	wantCached(t, cache, 2, now, "carol") // one replaced is one, not two
}

func TestCacheServesManyRequestsAtOnce(t *testing.T) {
	cache, now := certauth.NewCache(8), time.Now()
	var users sync.WaitGroup
	for worker := range 8 {
		users.Go(func() {
			for i := range 500 {
				n := (worker + i) % 16
				if verdict, ok, _ := cache.Get(cacheKey(n), now); ok && verdict.User.Username != strconv.Itoa(n) {
					t.Errorf("the verdict of %d is %q", n, verdict.User.Username)
				}
				cache.Put(cacheKey(n), verdictOf(strconv.Itoa(n)), now.Add(time.Duration(i%2)*time.Hour), 0)
			}
		})
	}
	users.Wait()
}

// A client that sends garbage fills the place of refusals, and not that of good verdicts.
func TestCacheKeepsRefusalsApart(t *testing.T) {
	cache, now, refused := certauth.NewCache(2), time.Now(), errors.New("refused")
	cache.Put(cacheKey(1), verdictOf("alice"), now.Add(time.Hour), 0)
	for n := 2; n < 100; n++ {
		cache.Refuse(cacheKey(n), refused, now.Add(time.Second), 0)
	}
	wantCached(t, cache, 1, now, "alice")
	for n, want := range map[int]bool{97: false, 98: true, 99: true} {
		verdict, found, err := cache.Get(cacheKey(n), now)
		if found != want || (err == nil) == want || verdict.User.Username != "" {
			t.Errorf("refusal %d: %q, %v, %v", n, verdict.User.Username, err, found)
		}
	}
	if _, found, _ := cache.Get(cacheKey(99), now.Add(time.Second)); found {
		t.Error("a refusal is kept past its time")
	}
	cache.Put(cacheKey(98), verdictOf("bob"), now.Add(time.Hour), 0)
	wantCached(t, cache, 98, now, "bob") // a good verdict wins
}
