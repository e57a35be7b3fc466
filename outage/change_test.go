// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package outage_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

func TestTheFirstFailureAndTheEndAreChanges(t *testing.T) {
	var changes []bool
	down := &outage.Outage{OnChange: func(err error) { changes = append(changes, err != nil) }}
	down.End()
	for range 2 {
		down.Failed("it is down", errors.New("broken"))
		down.Failed("it is down", errors.New("broken"))
		down.End()
		down.End()
	}
	if !slices.Equal(changes, []bool{true, false, true, false}) {
		t.Errorf("the changes are %v", changes)
	}
}
