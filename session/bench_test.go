// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// BenchmarkOpen is what a request with a session costs, by its groups: from the cache, and the
// first time.
func BenchmarkOpen(b *testing.B) {
	now := time.Now()
	for _, groups := range []int{10, 200, 450} {
		jar := newJar(b, session.JarConfig{})
		lines := login(b, jar, newSession(now, groups), secure, now).lines()
		size := len(lines[0])
		b.Run(fmt.Sprintf("cached/%d", groups), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jar.Open(b.Context(), lines, secure, now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size), "B/cookie")
		})
		b.Run(fmt.Sprintf("cached-parallel/%d", groups), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := jar.Open(b.Context(), lines, secure, now); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		// Two sessions push one another out of a cache for one.
		small := newJar(b, session.JarConfig{CacheSize: 1})
		both := [][]string{
			login(b, small, newSession(now, groups), secure, now).lines(), login(b, small, newSession(now, groups), secure, now).lines(),
		}
		b.Run(fmt.Sprintf("uncached/%d", groups), func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := small.Open(b.Context(), both[n%2], secure, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkForged is what a flood of invented cookies costs.
func BenchmarkForged(b *testing.B) {
	now := time.Now()
	jar := newJar(b, session.JarConfig{})
	cookies := login(b, jar, newSession(now, 10), secure, now)
	value := []byte(cookies["__Host-kube_session"])
	value[20]++
	lines := []string{"__Host-kube_session=" + string(value)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jar.Open(b.Context(), lines, secure, now); err == nil {
			b.Fatal("it opens")
		}
	}
}

// BenchmarkStart is what a flood of logins costs: a binding and a state each.
func BenchmarkStart(b *testing.B) {
	now := time.Now()
	jar := newJar(b, session.JarConfig{})
	b.ReportAllocs()
	for b.Loop() {
		binding, attempt := session.NewBinding(now), session.NewAttempt(now)
		attempt.Return = "/console/overview?namespaces=bookinfo"
		if _, err := jar.SealBinding(binding, secure, now); err != nil {
			b.Fatal(err)
		}
		if _, err := jar.SealState(attempt, binding, secure); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck is the deny list of each request.
func BenchmarkCheck(b *testing.B) {
	list := session.NewDenyList(nil)
	now := time.Now()
	for n := range 10_000 {
		if err := list.Deny(b.Context(), session.DenySession(fmt.Sprint(n), now.Add(time.Hour))); err != nil {
			b.Fatal(err)
		}
	}
	f := facts(nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := list.Check(f, now); err != nil {
			b.Fatal(err)
		}
	}
}

// A thousand sessions, opened from the cache: the median is the acceptance test's.
func TestOpeningFromTheCacheIsQuick(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	all := make([][]string, 1000)
	for i := range all {
		all[i] = login(t, jar, newSession(now, 10), secure, now).lines()
		if _, err := jar.Open(t.Context(), all[i], secure, now); err != nil {
			t.Fatal(err)
		}
	}
	took := make([]time.Duration, 0, 10*len(all))
	for range 10 {
		for _, lines := range all {
			began := time.Now()
			if _, err := jar.Open(t.Context(), lines, secure, now); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	t.Logf("p50 %v, p99 %v", took[len(took)/2], took[len(took)*99/100])
	if p50 := took[len(took)/2]; p50 > 100*time.Microsecond { // the bound of a busy machine with the race detector
		t.Errorf("p50 %v", p50)
	}
}
