// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
)

// figure is the median of some values, and how sure it is.
type figure struct {
	median, low, high float64 // the interval has the median in at least 90 % of all cases
	lower, upper      float64 // the quartiles
	least, most       float64
}

func newFigure(values []float64) figure {
	f := figure{median: quantile(values, 0.5), lower: quantile(values, 0.25), upper: quantile(values, 0.75)}
	f.least, f.most = quantile(values, 0), quantile(values, 1)
	f.low, f.high = interval(values)
	return f
}

// String has the median and its interval.
func (f figure) String() string { return fmt.Sprintf("%.3f (%.3f–%.3f)", f.median, f.low, f.high) }

// interval is the 90 % confidence interval of the median by order statistics, whatever the
// distribution: the k-th smallest and the k-th largest value. Each value is below the true
// median with a chance of one half, so the interval misses it on one side with the chance
// that fewer than k of n coins show heads. k is the largest with a chance of at most 5 % on
// each side; with fewer than five values there is none, and the bounds are infinite.
func interval(values []float64) (low, high float64) {
	n := len(values)
	k, chance, below := 0, math.Pow(0.5, float64(n)), 0.0
	for k < n && below+chance <= 0.05 {
		below += chance
		chance *= float64(n-k) / float64(k+1) // of k+1 heads
		k++
	}
	if k == 0 {
		return math.Inf(-1), math.Inf(1)
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[k-1], sorted[n-k]
}

// quantile interpolates between the two nearest values; without values it is 0.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}
