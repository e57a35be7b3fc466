// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// judged returns the Memo of a verdict that must be good.
func judged(t *testing.T, cache *tokencache.Cache, key tokencache.Key, user string) *identity.Memo {
	t.Helper()
	verdict, found, err := cache.Get(key, time.Now())
	if !found {
		verdict, err = cache.Judge(t.Context(), key, says(verdictOf(user), nil))
	}
	if err != nil || verdict.User.Username != user || verdict.Memo == nil {
		t.Fatalf("got %q, %v, memo %v", verdict.User.Username, err, verdict.Memo)
	}
	return verdict.Memo
}

// What was derived for alice must not be found once her token is another user's.
func TestAVerdictThatIsJudgedAgainHasANewMemo(t *testing.T) {
	for _, test := range []struct {
		name  string
		again func(t *testing.T, cache *tokencache.Cache, key tokencache.Key)
	}{
		{"its time is over", func(*testing.T, *tokencache.Cache, tokencache.Key) { time.Sleep(10 * time.Second) }},
		{"it was revoked, and came back", func(t *testing.T, cache *tokencache.Cache, key tokencache.Key) {
			t.Helper()
			time.Sleep(10 * time.Second)
			put(t, cache, key, tokencache.Verdict{}, refused(identity.ErrRejected))
			time.Sleep(10 * time.Second)
		}},
		{"it was not decided for a while", func(t *testing.T, cache *tokencache.Cache, key tokencache.Key) {
			t.Helper()
			time.Sleep(10 * time.Second)
			put(t, cache, key, tokencache.Verdict{}, refused(identity.ErrUnavailable))
		}},
		{"it was pushed out", func(t *testing.T, cache *tokencache.Cache, _ tokencache.Key) {
			t.Helper()
			for _, other := range []string{"x", "y", "z"} {
				judged(t, cache, cache.Key(other), other)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, tokencache.Config{Size: 2})
				key, owner := cache.Key("token"), new(identity.Owner)
				first := judged(t, cache, key, "alice")
				first.Put(owner, "alice")
				if judged(t, cache, key, "alice") != first {
					t.Fatal("the kept verdict has another Memo")
				}
				test.again(t, cache, key)
				again := judged(t, cache, key, "mallory")
				if again == first || again.Get(owner) != nil {
					t.Errorf("mallory's verdict has alice's note %v", again.Get(owner))
				}
			})
		})
	}
}

// A judge that answers with a verdict of its own, or of another cache, does not bring its
// notes along; and a bad verdict has none.
func TestTheMemoOfAVerdictIsTheCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, owner := newCache(t, tokencache.Config{}), new(identity.Owner)
		alice := verdictOf("alice")
		alice.Memo = new(identity.Memo)
		alice.Memo.Put(owner, "alice elsewhere")
		put(t, cache, cache.Key("one"), alice, nil)
		if judged(t, cache, cache.Key("one"), "alice").Get(owner) != nil {
			t.Error("the judge's note is found")
		}
		if judged(t, cache, cache.Key("one"), "alice") == judged(t, cache, cache.Key("two"), "alice") {
			t.Error("two tokens of one user share a Memo")
		}
		bad := alice
		verdict, err := cache.Judge(t.Context(), cache.Key("bad"), says(bad, refused(identity.ErrRejected)))
		if err == nil || verdict.Memo != nil {
			t.Errorf("a bad verdict has the Memo %v, %v", verdict.Memo, err)
		}
		if verdict, _, _ := cache.Get(cache.Key("bad"), time.Now()); verdict.Memo != nil {
			t.Error("a bad verdict that is kept has a Memo")
		}
	})
}

// All requests that wait for one judgement get one Memo, and those of other keys another.
func TestAFlightHasOneMemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{})
		var mu sync.Mutex
		memos := make(map[*identity.Memo]map[string]bool)
		var running sync.WaitGroup
		for n := range 64 {
			user := []string{"alice", "bob", "carol"}[n%3]
			running.Go(func() {
				verdict, err := cache.Judge(t.Context(), cache.Key(user), func(context.Context, bool) (tokencache.Verdict, error) {
					time.Sleep(time.Second)
					return verdictOf(user), nil
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil || verdict.Memo == nil {
					t.Errorf("%s has %v, %v", user, verdict.Memo, err)
				}
				if memos[verdict.Memo] == nil {
					memos[verdict.Memo] = make(map[string]bool)
				}
				memos[verdict.Memo][verdict.User.Username] = true
			})
		}
		running.Wait()
		if len(memos) != 3 {
			t.Errorf("%d Memos for three tokens", len(memos))
		}
		for _, users := range memos {
			if len(users) != 1 {
				t.Errorf("one Memo is of %v", users)
			}
		}
	})
}
