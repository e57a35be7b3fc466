// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// benchToken is as long as an ID token with a dozen groups.
var benchToken = strings.Repeat("eyJhbGciOiJSUzI1NiIsImtpZCI6Im", 50)

// warm makes a cache that is full, and has the verdict on benchToken.
func warm(tb testing.TB) *tokencache.Cache {
	tb.Helper()
	cache := newCache(tb, tokencache.Config{TTL: time.Hour})
	alice := tokencache.Verdict{
		User:    identity.User{Username: "alice@example.com", Groups: []string{"dev", "ops"}},
		Expires: time.Now().Add(time.Hour),
	}
	keys := []tokencache.Key{cache.Key("oidc", benchToken)}
	for n := range 4095 {
		keys = append(keys, cache.Key("oidc", strconv.Itoa(n)))
	}
	for _, key := range keys {
		if _, err := cache.Judge(tb.Context(), key, says(alice, nil)); err != nil {
			tb.Fatal(err)
		}
	}
	return cache
}

// hit is the cost of a request with a token that was judged before.
func hit(tb testing.TB, cache *tokencache.Cache) {
	tb.Helper()
	verdict, found, err := cache.Get(cache.Key("oidc", benchToken), time.Now())
	if !found || err != nil || verdict.User.Username != "alice@example.com" {
		tb.Fatal(verdict.User.Username, found, err)
	}
}

// BenchmarkGet is the way from a token of 1.5 kB to its verdict, and BenchmarkHMAC the bare
// hash of the same token: the ratio of the two should be at most 3.
func BenchmarkGet(b *testing.B) {
	cache := warm(b)
	b.ReportAllocs()
	for b.Loop() {
		hit(b, cache)
	}
}

func BenchmarkHMAC(b *testing.B) {
	mac := newMAC()
	b.ReportAllocs()
	for b.Loop() {
		mac()
	}
}

func BenchmarkGetParallel(b *testing.B) {
	cache := warm(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			hit(b, cache)
		}
	})
}

func BenchmarkHMACParallel(b *testing.B) {
	mac := newMAC()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mac()
		}
	})
}

// newMAC returns a function that hashes benchToken with pooled state.
func newMAC() func() {
	pool := sync.Pool{New: func() any { return hmac.New(sha256.New, make([]byte, sha256.Size)) }}
	token := []byte(benchToken)
	return func() {
		mac := pool.Get().(hash.Hash)
		var sum [sha256.Size]byte
		mac.Reset()
		mac.Write(token)
		mac.Sum(sum[:0])
		pool.Put(mac)
	}
}

// BenchmarkJudge is the overhead of a flood of invented tokens, without judging them.
func BenchmarkJudge(b *testing.B) {
	cache := newCache(b, tokencache.Config{})
	key, judge := cache.Key("token"), says(tokencache.Verdict{}, identity.ErrUnavailable)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cache.Judge(b.Context(), key, judge); err == nil {
			b.Fatal("no error")
		}
	}
}

// Every request takes this way. The test looks at the median, since the race detector has a
// sync.Pool throw every fourth value away.
func TestHitAllocatesAtMostOnce(t *testing.T) {
	cache := warm(t)
	runs := make([]float64, 99)
	for i := range runs {
		runs[i] = testing.AllocsPerRun(1, func() { hit(t, cache) })
	}
	slices.Sort(runs)
	if median := runs[len(runs)/2]; median > 1 {
		t.Errorf("%v allocations", median)
	}
}
