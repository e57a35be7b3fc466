// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

// quiet are the figures of a flood that breaks no limit.
func quiet() *figures {
	return &figures{
		flood:  &flood{bad: 1000, connections: 10, log: "discard", qps: 10},
		before: 60 << 20, peak: 100 << 20, after: 70 << 20,
		took:    10 * time.Second,
		reviews: []time.Time{time.Unix(1, 0), time.Unix(2, 0)},
		users:   &users{took: []float64{1, 2, 3}, wrong: make(map[string]int)},
	}
}

func TestFiguresTellWhichLimitIsBroken(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*figures)
		want   string // empty: no limit
	}{
		"none":                            {func(*figures) {}, ""},
		"memory grows to the limit":       {func(f *figures) { f.peak = f.before + maxGrowth }, ""},
		"memory grows by a byte too much": {func(f *figures) { f.peak = f.before + maxGrowth + 1 }, "memory grew"},
		"as many reviews within a second as the rate and the burst": {
			func(f *figures) { f.reviews = make([]time.Time, 20) }, "",
		},
		"one review more within a second": {
			func(f *figures) { f.reviews = make([]time.Time, 21) }, "21 reviews within a second, more than 20",
		},
		"one review more in all": {
			func(f *figures) { f.reviews = steadily(111, time.Second/2) }, "111 reviews in all, more than 110",
		},
		"a user has an error":         {func(f *figures) { f.users.wrong["answer 503"] = 2 }, "good users had 2 errors"},
		"users did nothing":           {func(f *figures) { f.users.took = nil }, "good users made no request"},
		"a bad token gets through":    {func(f *figures) { f.answers.others.Add(1) }, "1 bad tokens got an answer other"},
		"bad tokens get 401 and 503":  {func(f *figures) { f.answers.unauthorized.Add(1); f.answers.unavailable.Add(1) }, ""},
		"memory that does not shrink": {func(f *figures) { f.after = f.peak }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := quiet()
			test.change(f)
			err := f.broken()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// steadily returns n times at an interval.
func steadily(n int, interval time.Duration) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = time.Unix(0, 0).Add(time.Duration(i) * interval)
	}
	return times
}

func TestBusiestSecondIsAnySecond(t *testing.T) {
	for name, test := range map[string]struct {
		times []time.Time
		want  int
	}{
		"nothing":                       {nil, 0},
		"one":                           {steadily(1, 0), 1},
		"ten at once":                   {steadily(10, 0), 10},
		"one each second":               {steadily(10, time.Second), 1},
		"one each tenth":                {steadily(100, time.Second/10), 10},
		"across the turn of the second": {[]time.Time{time.Unix(0, 9e8), time.Unix(1, 1e8), time.Unix(2, 0)}, 2},
		"out of order":                  {[]time.Time{time.Unix(2, 0), time.Unix(0, 0), time.Unix(2, 1)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := busiest(test.times); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestQuantileInterpolates(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for _, test := range []struct{ q, want float64 }{{0, 1}, {0.5, 2.5}, {1, 4}, {0.25, 1.75}} {
		if got := quantile(values, test.q); got != test.want {
			t.Errorf("quantile %v: got %v, want %v", test.q, got, test.want)
		}
	}
}

// The measurement means something only if bad tokens are bad for the intended reason:
// another signature, of the right size.
func TestForgedTokensDifferFromGoodOnesInTheSignatureAlone(t *testing.T) {
	issuer := newIssuer()
	good := issuer.token("alice", fiveGroups()...)
	if len(good) < 1100 || len(good) > 1300 {
		t.Errorf("the good token has %d bytes", len(good))
	}
	forger := newForger(good)
	one, other := forger.jwt(1), forger.jwt(2)
	signed := good[:strings.LastIndexByte(good, '.')+1]
	if len(one) != len(good) || one == other || !strings.HasPrefix(one, signed) || !strings.HasPrefix(other, signed) {
		t.Errorf("forged:\n%s\n%s\nof:\n%s", one, other, good)
	}
	if forger.opaque(1) == forger.opaque(2) || strings.Contains(forger.opaque(1), ".") {
		t.Errorf("opaque: %s, %s", forger.opaque(1), forger.opaque(2))
	}
}
