// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// named returns a function that makes an identity, and counts how often.
func named(user string, count *int) func() (*identity.Identity, error) {
	return func() (*identity.Identity, error) {
		*count++
		return &identity.Identity{User: identity.User{Username: user}}, nil
	}
}

func TestKeptIdentities(t *testing.T) {
	k, count := newKept(), 0
	get := func(user string, texts ...string) *identity.Identity {
		t.Helper()
		id, err := k.get(identity.AppendFramed(nil, texts...), named(user, &count))
		if err != nil || id.Username != user {
			t.Fatalf("got %v, %v, want %s", id, err, user)
		}
		return id
	}
	one := get("one", "ab", "c")
	two := get("two", "a", "bc")
	get("three", "a", "b", "c")
	get("four", "abc")
	get("five")
	get("six", "")
	if count != 6 {
		t.Errorf("six lists of texts made %d identities", count)
	}
	if one.Memo == nil || one.Memo == two.Memo {
		t.Error("two identities share a Memo")
	}
	if again := get("one", "ab", "c"); again != one || count != 6 {
		t.Error("an identity that is kept was made again")
	}
}

// What is refused may be taken later, and what is long would fill the memory.
func TestIdentitiesThatAreNotKept(t *testing.T) {
	k, count := newKept(), 0
	_, err := k.get([]byte("text"), func() (*identity.Identity, error) { return nil, identity.ErrMalformed })
	if !errors.Is(err, identity.ErrMalformed) {
		t.Error(err)
	}
	if id, err := k.get([]byte("text"), named("alice", &count)); err != nil || id.Username != "alice" {
		t.Errorf("after a refusal: %v, %v", id, err)
	}
	long := []byte(strings.Repeat("x", maxKeptText+1))
	for _, user := range []string{"bob", "carol"} {
		id, err := k.get(long, named(user, &count))
		if err != nil || id.Username != user || id.Memo != nil {
			t.Errorf("of a long text: %v, %v", id, err)
		}
	}
	if id, err := k.get(long[1:], named("dave", &count)); err != nil || id.Username != "dave" || id.Memo == nil {
		t.Errorf("of a text that is just short enough: %v, %v", id, err)
	}
}

// Run with -race. More users come at once than are kept.
func TestKeptIdentitiesOfManyUsersAtOnce(t *testing.T) {
	k := newKept()
	var running sync.WaitGroup
	for worker := range 64 {
		running.Go(func() {
			count := 0
			for n := range 200 {
				user := fmt.Sprintf("user-%d", (worker*31+n*7)%(keptIdentities+300))
				id, err := k.get(identity.AppendFramed(nil, user), named(user, &count))
				if err != nil || id.Username != user {
					t.Errorf("%s is %v, %v", user, id, err)
					return
				}
			}
		})
	}
	running.Wait()
	if k.identities.Len() > keptIdentities {
		t.Errorf("%d are kept", k.identities.Len())
	}
}
