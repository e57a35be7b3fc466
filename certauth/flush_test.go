// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestFlushForgetsAUserAndAllRefusals(t *testing.T) {
	now := time.Now()
	until := now.Add(time.Hour)
	cache := NewCache(8)
	put := func(n byte, user string, since uint64) {
		cache.Put(Key{n}, Verdict{User: identity.User{Username: user}}, until, since)
	}
	refuse := func(n byte, since uint64) { cache.Refuse(Key{n}, errors.New("no"), until, since) }
	put(1, "alice", 0)
	put(2, "bob", 0)
	refuse(3, 0)
	if stats := cache.Stats(now); stats.Good != 2 || stats.Bad != 1 || stats.Size != 8 || !maps.Equal(stats.Users, map[string]int{"alice": 1, "bob": 1}) {
		t.Errorf("before: %+v", stats)
	}
	since := cache.Generation() // of requests that began before
	if good, bad := cache.Flush(func(user string) bool { return user == "alice" }); good != 1 || bad != 1 {
		t.Errorf("forgot %d and %d", good, bad)
	}
	// what was judged meanwhile is not kept
	put(1, "alice", since)
	refuse(3, since)
	for n, want := range map[byte]bool{1: false, 2: true, 3: false} {
		if _, found, _ := cache.Get(Key{n}, now); found != want {
			t.Errorf("%d is there: %v", n, found)
		}
	}
	put(1, "alice", cache.Generation())
	if _, found, _ := cache.Get(Key{1}, now); !found {
		t.Error("what is judged afterwards is not kept")
	}
	if stats := cache.Stats(now); stats.Hits != 2 || stats.Misses != 2 {
		t.Errorf("after: %+v", stats)
	}
	if stats := cache.Stats(until); stats.Good != 0 || stats.Bad != 0 {
		t.Errorf("after an hour: %+v", stats)
	}
	if good, _ := cache.Flush(func(string) bool { return true }); good != 2 {
		t.Errorf("forgot %d", good)
	}
}

// The state of a configuration that has ended serves its last requests, and no flush reaches it.
func TestAClosedCacheKeepsNothing(t *testing.T) {
	cache, now := NewCache(2), time.Now()
	until := now.Add(time.Hour)
	cache.Put(Key{1}, Verdict{User: identity.User{Username: "alice"}}, until, cache.Generation())
	cache.Close()
	cache.Put(Key{2}, Verdict{User: identity.User{Username: "bob"}}, until, cache.Generation())
	cache.Refuse(Key{3}, identity.ErrRejected, until, cache.Generation())
	for n := range byte(4) {
		if verdict, found, refused := cache.Get(Key{n}, now); found || refused != nil {
			t.Errorf("%d: there is %v, %v", n, verdict, refused)
		}
	}
}

// A signed URL has its secret in the query.
func TestTheNameOfAListDoesNotShowItsQuery(t *testing.T) {
	for name, want := range map[string]string{
		"https://pki.example/clients.crl?signature=secret": "https://pki.example/clients.crl?…",
		"https://pki.example/clients.crl":                  "https://pki.example/clients.crl",
		"/etc/caddy/what?.crl":                             "/etc/caddy/what?.crl",
	} {
		if got := newCRLSource(name).status().Name; got != want {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
}
