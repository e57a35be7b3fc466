// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxGrowth is by how much the resident memory of caddy may grow in a flood, in bytes.
const maxGrowth = 64 << 20

// figures are the results of a flood.
type figures struct {
	flood               *flood
	before, peak, after int64 // resident memory, in bytes
	reference           int64 // growth without the plugin
	took                time.Duration
	cpu                 float64 // seconds of caddy
	reviews             []time.Time
	answers             answers
	users               *users
}

// String is the report.
func (f *figures) String() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	const mib = 1 << 20
	line("%d bad tokens over %d connections, caddy's log: %s", f.flood.bad, f.flood.connections, f.flood.log)
	line("took %.0f s, %.0f/s; CPU of caddy %.0f s; answers: %d times 401, %d times 503, %d others",
		f.took.Seconds(), float64(f.flood.bad)/f.took.Seconds(), f.cpu,
		f.answers.unauthorized.Load(), f.answers.unavailable.Load(), f.answers.others.Load())
	line("resident memory: %.1f MiB before, %.1f at most, %.1f after; growth %.1f (limit %d)",
		float64(f.before)/mib, float64(f.peak)/mib, float64(f.after)/mib, float64(f.peak-f.before)/mib, maxGrowth/mib)
	if f.flood.refer {
		line("  for comparison: %.1f MiB without the plugin, with as many requests waiting for the upstream", float64(f.reference)/mib)
	}
	line("reviews: %d, %.1f/s, at most %d within a second (limit %d)",
		len(f.reviews), float64(len(f.reviews))/f.took.Seconds(), busiest(f.reviews), f.maxReviews(1))
	line("good users: %d requests, %d errors (limit 0); ms: median %.1f, 99%% %.1f, at most %.1f",
		len(f.users.took), f.users.errors(),
		quantile(f.users.took, 0.5), quantile(f.users.took, 0.99), quantile(f.users.took, 1))
	for _, wrong := range slices.Sorted(maps.Keys(f.users.wrong)) {
		line("  %d times: %s", f.users.wrong[wrong], wrong)
	}
	return text.String()
}

// maxReviews is how many reviews are allowed in some seconds: the configured ones, and a
// second's worth that may all begin at once.
func (f *figures) maxReviews(seconds float64) int {
	return int(float64(f.flood.qps) * (seconds + 1))
}

// broken names the limits that are broken.
func (f *figures) broken() error {
	var errs []error
	limit := func(broken bool, format string, args ...any) {
		if broken {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	growth := f.peak - f.before
	limit(growth > maxGrowth, "memory grew by %d MiB, more than %d", growth>>20, maxGrowth>>20)
	limit(busiest(f.reviews) > f.maxReviews(1), "%d reviews within a second, more than %d", busiest(f.reviews), f.maxReviews(1))
	inAll := f.maxReviews(f.took.Seconds())
	limit(len(f.reviews) > inAll, "%d reviews in all, more than %d", len(f.reviews), inAll)
	limit(f.users.errors() > 0, "good users had %d errors", f.users.errors())
	limit(len(f.users.took) == 0, "good users made no request")
	limit(f.answers.others.Load() > 0, "%d bad tokens got an answer other than 401 or 503", f.answers.others.Load())
	return errors.Join(errs...)
}

func (u *users) errors() int {
	n := 0
	for _, times := range u.wrong {
		n += times
	}
	return n
}

// busiest is how many of the times are within one second, at most.
func busiest(times []time.Time) int {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
