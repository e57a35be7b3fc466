// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

// A flood that is small enough for every run of the tests. Verdicts are kept for a second,
// so the users' tokens are verified again and again during the flood.
func TestFloodOfBadTokensCostsUsersNothing(t *testing.T) { floodUsers(t, false) }

// The same with introspection instead of token_review: the same limits hold.
func TestFloodOfTokensThatAreIntrospectedCostsUsersNothing(t *testing.T) { floodUsers(t, true) }

func floodUsers(t *testing.T, introspects bool) {
	t.Helper()
	dir := t.TempDir()
	caddy, err := buildCaddy(t.Context(), dir, usersCaddy)
	if err != nil {
		t.Fatal(err)
	}
	const bad = 20_000
	found, err := (&flood{
		bad:         bad,
		connections: 128,
		log:         "stderr",
		qps:         40,
		options:     "qps 40\n\t\ttimeout 4s\n\t\tcache_ttl 1s",
		calm:        2 * time.Second,
		introspects: introspects,
	}).run(t.Context(), dir, caddy)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", found)
	if err := found.broken(); err != nil {
		t.Error(err)
	}
	unauthorized, unavailable := found.answers.unauthorized.Load(), found.answers.unavailable.Load()
	if unauthorized < bad/2 {
		t.Errorf("%d bad tokens got 401, and %d have a bad signature", unauthorized, bad/2)
	}
	if unavailable == 0 || len(found.reviews) == 0 {
		t.Errorf("%d opaque tokens were refused without a review, and %d were reviewed: it was not a flood",
			unavailable, len(found.reviews))
	}
}
