// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Two sites that share a verdict must not find each other's notes, and two verdicts have
// nothing in common.
func TestMemoKeepsANoteForItsOwner(t *testing.T) {
	one, other := new(identity.Owner), new(identity.Owner)
	alice, bob := new(identity.Memo), new(identity.Memo)
	if one == other {
		t.Fatal("two owners are one")
	}
	alice.Put(one, "alice at one")
	alice.Put(other, "alice at other")
	bob.Put(one, "bob at one")
	for _, test := range []struct {
		memo  *identity.Memo
		owner *identity.Owner
		want  any
	}{
		{alice, one, "alice at one"},
		{alice, other, "alice at other"},
		{alice, new(identity.Owner), nil},
		{alice, nil, nil},
		{bob, one, "bob at one"},
		{bob, other, nil},
		{new(identity.Memo), one, nil},
	} {
		if got := test.memo.Get(test.owner); got != test.want {
			t.Errorf("got %v, want %v", got, test.want)
		}
	}
	alice.Put(one, "alice again")
	if got := alice.Get(one); got != "alice again" {
		t.Errorf("got %v after a second note", got)
	}
	if got := alice.Get(other); got != "alice at other" {
		t.Errorf("got %v after another's second note", got)
	}
}

// A source that keeps no verdicts has no Memo.
func TestANilMemoKeepsNothing(t *testing.T) {
	var none *identity.Memo
	owner := new(identity.Owner)
	none.Put(owner, "x")
	if got := none.Get(owner); got != nil {
		t.Errorf("got %v", got)
	}
}

// Configurations come and go: a verdict does not hold on to all that ever were, and an owner
// finds its own note or none.
func TestMemoForgetsOwnersAndMixesNone(t *testing.T) {
	memo := new(identity.Memo)
	var owners []*identity.Owner
	for n := range 100 {
		owner := new(identity.Owner)
		owners = append(owners, owner)
		memo.Put(owner, n)
		if got := memo.Get(owner); got != n {
			t.Fatalf("owner %d finds %v right after its note", n, got)
		}
		found := 0
		for m, owner := range owners {
			if got := memo.Get(owner); got != nil {
				if found++; got != m {
					t.Fatalf("owner %d finds the note of owner %v", m, got)
				}
			}
		}
		if found > 8 {
			t.Fatalf("%d notes are kept", found)
		}
	}
}

// Run with -race. Many requests write the first note at once.
func TestMemoServesManyOwnersAtOnce(t *testing.T) {
	memo := new(identity.Memo)
	var owners [6]*identity.Owner
	for n := range owners {
		owners[n] = new(identity.Owner)
	}
	var running sync.WaitGroup
	for n := range 64 {
		running.Go(func() {
			mine := n % len(owners)
			for range 200 {
				memo.Put(owners[mine], mine)
				for m, owner := range owners {
					if got := memo.Get(owner); got != nil && got != m {
						t.Errorf("owner %d finds the note of owner %v", m, got)
						return
					}
				}
			}
		})
	}
	running.Wait()
}
