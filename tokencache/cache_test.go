// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// judge is the type of function that judges a token.
type judge = func(ctx context.Context, known bool) (tokencache.Verdict, error)

// newCache makes a cache that ends with the test. Within a synctest bubble tb is the
// bubble's.
func newCache(tb testing.TB, config tokencache.Config) *tokencache.Cache {
	tb.Helper()
	cache := tokencache.New(config)
	tb.Cleanup(cache.Close)
	return cache
}

func verdictOf(name string) tokencache.Verdict {
	return tokencache.Verdict{User: identity.User{Username: name}}
}

// says returns a judge that always has this verdict.
func says(verdict tokencache.Verdict, err error) judge {
	return func(context.Context, bool) (tokencache.Verdict, error) { return verdict, err }
}

// refused is a bad verdict, wrapped as a source wraps it.
func refused(sentinel error) error {
	return fmt.Errorf("%w: verifying a token: bad signature", sentinel)
}

// put has the cache judge a key, which must not be under judgement.
func put(t *testing.T, cache *tokencache.Cache, key tokencache.Key, verdict tokencache.Verdict, err error) {
	t.Helper()
	got, gotErr := cache.Judge(t.Context(), key, says(verdict, err))
	if got.User.Username != verdict.User.Username || !errors.Is(gotErr, err) {
		t.Fatalf("the judgement is %q, %v, want %q, %v", got.User.Username, gotErr, verdict.User.Username, err)
	}
}

// wantGood asserts which user the cache has for the key; "" for none.
func wantGood(t *testing.T, cache *tokencache.Cache, key tokencache.Key, want string) {
	t.Helper()
	verdict, found, err := cache.Get(key, time.Now())
	if found != (want != "") || verdict.User.Username != want || err != nil {
		t.Errorf("the cache has %q, %v, %v, want %q", verdict.User.Username, found, err, want)
	}
}

// wantBad asserts that the cache refuses the key.
func wantBad(t *testing.T, cache *tokencache.Cache, key tokencache.Key, want error) {
	t.Helper()
	verdict, found, err := cache.Get(key, time.Now())
	wantSentinel(t, err, want)
	if !found || verdict.User.Username != "" {
		t.Errorf("the cache has %q, %v, want a refusal", verdict.User.Username, found)
	}
}

// wantSentinel asserts that an error wraps this sentinel and no other.
func wantSentinel(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || !identity.IsRefusal(err) {
		t.Errorf("the error is %v, want exactly %v", err, want)
	}
}

// wantKnown asserts whether a judgement of the key is told that it is known. The key stays
// undecided.
func wantKnown(t *testing.T, cache *tokencache.Cache, key tokencache.Key, want bool) {
	t.Helper()
	asked := false
	_, _ = cache.Judge(t.Context(), key, func(_ context.Context, known bool) (tokencache.Verdict, error) {
		if asked = true; known != want {
			t.Errorf("known is %v, want %v", known, want)
		}
		return tokencache.Verdict{}, refused(identity.ErrUnavailable)
	})
	if !asked {
		t.Error("the key was not judged")
	}
}

// Traefik's CVE-2026-71326: user "ab" with password "c" and user "a" with password "bc" had
// one key, and the second user got the first one's verdict.
func TestKeyTellsPartsFromEachOther(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	keys := make(map[tokencache.Key][]string)
	for _, parts := range [][]string{
		nil,
		{""},
		{"", ""},
		{"abc"},
		{"ab", "c"},
		{"a", "bc"},
		{"", "abc"},
		{"abc", ""},
		{"a", "b", "c"},
		{"c", "ab"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"\x00\x00\x00\x00\x00\x00\x00\x01a"},
		{strings.Repeat("a", 1<<16)},
		{strings.Repeat("a", 1<<16+1)},
	} {
		key := cache.Key(parts...)
		if other, taken := keys[key]; taken {
			t.Errorf("%.20q has the key of %.20q", parts, other)
		}
		if keys[key] = parts; cache.Key(parts...) != key {
			t.Errorf("%.20q has two keys", parts)
		}
	}
}

// If the hash had no secret, a leaked key would confirm a guessed token.
func TestAnotherCacheHasOtherKeys(t *testing.T) {
	one, other := newCache(t, tokencache.Config{}), newCache(t, tokencache.Config{})
	if one.Key("token") == other.Key("token") {
		t.Error("two caches have the same key")
	}
}

func TestKeyIsSafeForConcurrentUse(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	var workers sync.WaitGroup
	for n := range 8 {
		token := strings.Repeat(fmt.Sprint(n), 100*n)
		want := cache.Key("source", token)
		workers.Go(func() {
			for range 200 {
				if cache.Key("source", token) != want {
					t.Error("the key is different")
				}
			}
		})
	}
	workers.Wait()
}

func TestDefaultsReplaceValuesThatAreNotPositive(t *testing.T) {
	for name, config := range map[string]tokencache.Config{
		"zero":     {},
		"negative": {Size: -1, TTL: -1, NegativeTTL: -1, Timeout: -1, MaxUnknown: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, config)
				good, bad, start := cache.Key("good"), cache.Key("bad"), time.Now()
				put(t, cache, good, verdictOf("alice"), nil)
				put(t, cache, bad, tokencache.Verdict{}, refused(identity.ErrRejected))
				time.Sleep(10*time.Second - 1)
				wantGood(t, cache, good, "alice")
				wantBad(t, cache, bad, identity.ErrRejected)
				time.Sleep(time.Nanosecond)
				wantGood(t, cache, good, "")
				wantGood(t, cache, bad, "")
				_, err := cache.Judge(t.Context(), good, func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
					<-ctx.Done()
					return tokencache.Verdict{}, ctx.Err()
				})
				wantSentinel(t, err, identity.ErrUnavailable)
				if took := time.Since(start); took != 20*time.Second {
					t.Errorf("the judgement ended after %v", took-10*time.Second)
				}
			})
		})
	}
}

func TestCloseEndsJudgementsAndEmptiesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{})
		good, slow, deaf, quick := cache.Key("good"), cache.Key("slow"), cache.Key("deaf"), cache.Key("quick")
		put(t, cache, good, verdictOf("alice"), nil)
		start := time.Now()
		for _, waiter := range []struct {
			key   tokencache.Key
			judge judge
			user  string
			err   error
			after time.Duration
		}{
			{slow, func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
				<-ctx.Done()
				return tokencache.Verdict{}, ctx.Err()
			}, "", identity.ErrUnavailable, time.Second},
			{deaf, func(context.Context, bool) (tokencache.Verdict, error) {
				time.Sleep(5 * time.Second)
				return verdictOf("bob"), nil
			}, "", identity.ErrUnavailable, 1100 * time.Millisecond},
			{quick, func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
				<-ctx.Done()
				return verdictOf("carol"), nil
			}, "carol", nil, time.Second},
		} {
			go func() {
				verdict, err := cache.Judge(t.Context(), waiter.key, waiter.judge)
				if verdict.User.Username != waiter.user || !errors.Is(err, waiter.err) || time.Since(start) != waiter.after {
					t.Errorf("%q, %v after %v, want %q, %v after %v",
						verdict.User.Username, err, time.Since(start), waiter.user, waiter.err, waiter.after)
				}
			}()
		}
		time.Sleep(time.Second)
		cache.Close()
		cache.Close() // twice, as after a start that failed
		time.Sleep(10 * time.Second)
		for _, key := range []tokencache.Key{good, slow, deaf, quick} {
			wantGood(t, cache, key, "")
			_, err := cache.Judge(t.Context(), key, func(context.Context, bool) (tokencache.Verdict, error) {
				t.Error("a closed cache judges")
				return verdictOf("alice"), nil
			})
			wantSentinel(t, err, identity.ErrUnavailable)
		}
	})
}
