// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A client that sends invented tokens by the hundred thousand must not fill the memory, nor
// push other users' verdicts out.
func TestFloodOfBadTokensLeavesMemoryBounded(t *testing.T) {
	const size, flood, workers = 1000, 200_000, 8
	c := New(Config{Size: size, TTL: time.Hour, NegativeTTL: time.Hour})
	defer c.Close()
	alice := c.Key("alice's token")
	good := func(context.Context, bool) (Verdict, error) {
		return Verdict{User: identity.User{Username: "alice"}}, nil
	}
	if _, err := c.Judge(t.Context(), alice, good); err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	for worker := range workers {
		senders.Go(func() {
			for n := range flood / workers {
				key := c.Key("invented", strconv.Itoa(worker), strconv.Itoa(n))
				_, _ = c.Judge(t.Context(), key, func(context.Context, bool) (Verdict, error) {
					return Verdict{}, fmt.Errorf("%w: verifying a token: bad signature", identity.ErrRejected)
				})
			}
		})
	}
	senders.Wait()
	c.mu.Lock()
	for what, n := range map[string][2]int{
		"good verdicts": {c.good.Len(), 1},
		"bad verdicts":  {c.bad.Len(), size},
		"flights":       {len(c.flights), 0},
		"unknown":       {c.unknown, 0},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", what, n[0], n[1])
		}
	}
	c.mu.Unlock()
	if verdict, found, err := c.Get(alice, time.Now()); !found || err != nil || verdict.User.Username != "alice" {
		t.Errorf("alice is %q, %v, %v", verdict.User.Username, found, err)
	}
}

// The marks of known keys take room, too: they share that of the good verdicts.
func TestFloodOfGoodTokensLeavesMemoryBounded(t *testing.T) {
	const size = 100
	c := New(Config{Size: size})
	defer c.Close()
	for n := range 10 * size {
		_, err := c.Judge(t.Context(), c.Key(strconv.Itoa(n)), func(context.Context, bool) (Verdict, error) {
			return Verdict{User: identity.User{Username: "alice"}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if c.good.Len() != size {
		t.Errorf("%d are kept, want %d", c.good.Len(), size)
	}
	c.Close()
	if c.good.Len() != 0 {
		t.Errorf("%d are kept by a closed cache", c.good.Len())
	}
}

// The monotonic clock, which TTL uses, stands still while a machine sleeps, but tokens
// expire all the same.
func TestGoodVerdictIsNotServedPastExpiresAfterASleepOfTheMachine(t *testing.T) {
	now := time.Now()
	kept := accept(&Verdict{Expires: now.Round(0).Add(time.Hour)}, now, time.Minute)
	if !kept.fresh(now) {
		t.Error("a new verdict is not fresh")
	}
	kept.verdict.Expires = now.Round(0) // an hour has passed on the wall clock, and no time for the process
	if kept.fresh(now) {
		t.Error("the verdict is served after it expired")
	}
}
