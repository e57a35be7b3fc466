// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// An identity that is made while the flush runs is not kept, nor is what a handler would derive
// from it.
func TestFlushOfKeptIdentities(t *testing.T) {
	k, count := newKept(), 0
	get := func(user string) *identity.Identity {
		t.Helper()
		id, err := k.get([]byte(user), named(user, &count))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	alice, bob := get("alice"), get("bob")
	for name, what := range map[string]guest.Flush{
		"another source": {Source: "placeholder", User: "alice"},
		"an issuer":      {Issuer: "https://idp.example"},
		"another user":   {User: "carol"},
	} {
		if got := k.flush("forwarded", what); got != (guest.Flushed{}) {
			t.Errorf("%s: dropped %+v", name, got)
		}
	}
	if got := k.flush("forwarded", guest.Flush{User: "alice"}); got != (guest.Flushed{Verdicts: 1}) {
		t.Errorf("dropped %+v", got)
	}
	if get("alice") == alice || get("bob") != bob {
		t.Error("alice's is still there, or bob's is not")
	}
	during, err := k.get([]byte("dave"), func() (*identity.Identity, error) {
		k.flush("forwarded", guest.Flush{User: "dave"})
		return &identity.Identity{User: identity.User{Username: "dave"}}, nil
	})
	if err != nil || get("dave") == during {
		t.Errorf("an identity that was made during a flush is kept, or %v", err)
	}
}
