// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"slices"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Handlers behind this one may ask at the same time, each in a goroutine of its own. The race
// detector says so if one of them sorts what the other reads.
func TestWhatARequestPassedWithCanBeAskedForTwiceAtOnce(t *testing.T) {
	told := &told{
		src: &configuredSource{name: "forwarded"}, who: &settled{Identity: identity.Identity{User: identity.User{Username: "alice"}}},
		stripped: []string{"X-B", "X-A", "X-B"},
	}
	var askers sync.WaitGroup
	for range 2 {
		askers.Go(func() {
			if got := told.passed().Stripped; !slices.Equal(got, []string{"X-A", "X-B"}) {
				t.Errorf("stripped are %q", got)
			}
		})
	}
	askers.Wait()
	if !slices.Equal(told.stripped, []string{"X-B", "X-A", "X-B"}) {
		t.Errorf("what is told was changed: %q", told.stripped)
	}
}
