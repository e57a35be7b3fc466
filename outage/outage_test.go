// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package outage_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

func TestBackOff(t *testing.T) {
	for failures, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 48, 8: 48, 100: 48, 1 << 40: 48} {
		least := want * time.Second
		seen := make(map[time.Duration]bool)
		for range 100 {
			delay := outage.BackOff(failures)
			if delay < least || delay > least*5/4 || delay > time.Minute {
				t.Errorf("%d failures: %v", failures, delay)
			}
			seen[delay] = true
		}
		if len(seen) < 10 {
			t.Errorf("%d failures: always the same time", failures)
		}
	}
}

// An outage of hours must be in the log, and must not fill it.
func TestFailuresAreLoggedAtFirstAndOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		down := &outage.Outage{Over: "it is back", OnProblem: func(message string, err error) {
			lines = append(lines, fmt.Sprintf("%s: %v", message, err))
		}}
		want := func(name string, wanted ...string) {
			t.Helper()
			if !slices.Equal(lines, wanted) {
				t.Errorf("%s: %q, want %q", name, lines, wanted)
			}
			lines = nil
		}
		down.End()
		want("nothing failed")
		for second := range 150 {
			down.Failed("it is down", fmt.Errorf("second %d", second))
			time.Sleep(time.Second)
		}
		want("two and a half minutes", "it is down: second 0", "it is down: second 60", "it is down: second 120")
		down.End()
		down.End()
		want("it is over", "it is back: <nil>")
		down.Failed("it is down again", errors.New("first"))
		want("the next one, within a minute", "it is down again: first")
	})
}

func TestRetryGrowsWithFailuresAndStartsAgain(t *testing.T) {
	var down outage.Outage // logs nothing
	for range 7 {
		down.Failed("it is down", errors.New("broken"))
	}
	if delay := down.Retry(); delay < 48*time.Second {
		t.Errorf("after seven failures %v", delay)
	}
	down.End()
	down.Failed("it is down", errors.New("broken"))
	if delay := down.Retry(); delay > 1250*time.Millisecond {
		t.Errorf("after the first failure %v", delay)
	}
}
