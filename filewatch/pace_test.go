// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
)

// Each step waits, perhaps sets the clock back, and says whether a caller then looks.
func TestPaceLooksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pace filewatch.Pace
		var back time.Duration
		for _, step := range []struct {
			name       string
			wait, back time.Duration
			want       bool
		}{
			{"the first time", 0, 0, true},
			{"at once again", 0, 0, false},
			{"just before the second is over", time.Second - 1, 0, false},
			{"a second after the first look", 1, 0, true},
			{"an hour later", time.Hour, 0, true},
			{"after the clock was set back by an hour", 0, time.Hour, true},
			{"at once again by that clock", time.Millisecond, 0, false},
			{"a second later by that clock", time.Second, 0, true},
			{"after the clock was set back by a nanosecond", 0, 1, true},
		} {
			time.Sleep(step.wait)
			back += step.back
			looked := false
			pace.Do(time.Now().Add(-back), func() { looked = true })
			if looked != step.want {
				t.Errorf("%s: looked %v, want %v", step.name, looked, step.want)
			}
		}
	})
}

func TestLookByOtherMeansCounts(t *testing.T) {
	var pace filewatch.Pace
	now := time.Now()
	pace.Looked(now)
	pace.Do(now.Add(time.Second-1), func() { t.Error("looked too early") })
}

// A request must not wait while another one reads a slow disk.
func TestOneCallerLooksAndTheOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pace filewatch.Pace
		var looks atomic.Int64
		look := func() {
			looks.Add(1)
			time.Sleep(5 * time.Second)
		}
		start := time.Now()
		var callers sync.WaitGroup
		callers.Go(func() { pace.Do(time.Now(), look) })
		synctest.Wait()
		for range 8 {
			callers.Go(func() { pace.Do(time.Now(), look) })
		}
		synctest.Wait()
		if looks.Load() != 1 || time.Since(start) != 0 {
			t.Errorf("%d looks after %s", looks.Load(), time.Since(start))
		}
		callers.Wait()
		pace.Do(time.Now(), func() { looks.Add(1) }) // the second is over: a look counts from its start
		if looks.Load() != 2 {
			t.Errorf("%d looks", looks.Load())
		}
	})
}

func TestAloneKeepsOthersFromLookingAndIsNotALook(t *testing.T) {
	var pace filewatch.Pace
	now, failure := time.Now(), errors.New("no file")
	err := pace.Alone(func() error {
		pace.Do(now, func() { t.Error("looked at the same time") })
		return failure
	})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	looked := false
	pace.Do(now, func() { looked = true })
	if !looked {
		t.Error("it counts as a look")
	}
}

// A look that panics must not be the last one.
func TestPaceStillLooksAfterAPanic(t *testing.T) {
	var pace filewatch.Pace
	now := time.Now()
	func() {
		defer func() { _ = recover() }()
		pace.Do(now, func() { panic("no file") })
	}()
	looked := false
	pace.Do(now.Add(time.Second), func() { looked = true })
	if !looked {
		t.Error("there is no further look")
	}
}

// Every request calls this.
func BenchmarkPaceNotDue(b *testing.B) {
	var pace filewatch.Pace
	pace.Looked(time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		pace.Looked(now)
		pace.Do(now, func() { b.Error("looked") })
	}
}
