// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A source of another repository may ask two others about one request, say a certificate and a
// token, and let the client in only if both say the same user.
func TestTwoIdentitiesOfOneRequestAreNotTheSameMemory(t *testing.T) {
	r := new(identity.Request)
	first := r.Proven(identity.Identity{User: identity.User{Username: "alice"}}, "token of alice")
	second := r.Proven(identity.Identity{User: identity.User{Username: "bob"}}, "token of bob")
	if first.Username != "alice" || first.Token.Reveal() != "token of alice" {
		t.Errorf("the first identity became %q with %q", first.Username, first.Token.Reveal())
	}
	if second.Username != "bob" || second.Token.Reveal() != "token of bob" {
		t.Errorf("the second identity is %q with %q", second.Username, second.Token.Reveal())
	}
}
