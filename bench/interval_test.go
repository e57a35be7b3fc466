// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"
)

// The ranks are those of the sign test: one more than its critical value for 10 % on both
// sides, as printed in tables.
func TestIntervalOfTheMedianHasTheRanksOfTheSignTest(t *testing.T) {
	for n, rank := range map[int]int{
		5: 1, 6: 1, 7: 1, 8: 2, 9: 2, 10: 2, 11: 3, 12: 3, 13: 4, 14: 4, 15: 4, 16: 5, 17: 5, 18: 6, 19: 6, 20: 6, 21: 7, 25: 8,
		30: 11, 40: 15, 50: 19, 100: 42,
	} {
		values := make([]float64, n)
		for i := range values {
			values[n-1-i] = float64(i + 1) // the order does not count
		}
		low, high := interval(values)
		if low != float64(rank) || high != float64(n+1-rank) {
			t.Errorf("%d values: got %v to %v, want %d to %d", n, low, high, rank, n+1-rank)
		}
	}
}

func TestFewValuesHaveNoInterval(t *testing.T) {
	for n := range 5 {
		low, high := interval(make([]float64, n))
		if !math.IsInf(low, -1) || !math.IsInf(high, 1) {
			t.Errorf("%d values: got %v to %v", n, low, high)
		}
	}
}

func TestFigureHasMedianIntervalAndQuartiles(t *testing.T) {
	got := newFigure([]float64{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	want := figure{median: 6, low: 3, high: 9, lower: 3.5, upper: 8.5, least: 1, most: 11}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if text := got.String(); text != "6.000 (3.000–9.000)" {
		t.Errorf("got %q", text)
	}
}
