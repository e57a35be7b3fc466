// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Eight bytes are looked at together: each byte value must count at each of their places, and
// in the rest, whatever its neighbours are.
func TestEachByteOfATokenCounts(t *testing.T) {
	for length := 1; length <= 17; length++ {
		for place := range length {
			for value := range 256 {
				for _, neighbour := range []byte{0x21, 0x7e, 'a'} {
					token := []byte(strings.Repeat(string(neighbour), length))
					token[place] = byte(value)
					if got, want := identity.IsBearerToken(string(token)), value > ' ' && value < 0x7f; got != want {
						t.Fatalf("%q: %v, want %v", token, got, want)
					}
				}
			}
		}
	}
}
