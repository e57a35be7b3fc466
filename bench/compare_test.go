// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
)

func TestRoundsBeginAndEndWithEachServer(t *testing.T) {
	for name, test := range map[string]struct {
		n    int
		want [][]int
	}{
		"two":   {2, [][]int{{0, 1}, {1, 0}, {1, 0}, {0, 1}, {0, 1}}},
		"three": {3, [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}, {1, 0, 2}, {0, 1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			for round, want := range test.want {
				if got := order(round, test.n); !slices.Equal(got, want) {
					t.Errorf("round %d: got %v, want %v", round, got, want)
				}
			}
		})
	}
}

func TestRatiosAndSlopesAreThoseOfTheRounds(t *testing.T) {
	if got, want := ratios([]float64{3, 8}, []float64{2, 4}), []float64{1.5, 2}; !slices.Equal(got, want) {
		t.Errorf("ratios: got %v, want %v", got, want)
	}
	got := slopes([]float64{1, 2}, []float64{4, 4}, []float64{1, 1}, []float64{3, 2})
	if want := []float64{1.5, 2}; !slices.Equal(got, want) {
		t.Errorf("slopes: got %v, want %v", got, want)
	}
}

func TestLimitIsTheAimUnlessOneIsGiven(t *testing.T) {
	for name, test := range map[string]struct {
		o       options
		against string
		want    float64
	}{
		"a mode to bare":             {options{mode: "oidc", subject: handler, limit: aim}, bare, 1.10},
		"another mode to bare":       {options{mode: "client_cert", subject: handler, limit: aim}, bare, 1.04},
		"a mode to minimal":          {options{mode: "oidc", subject: handler, limit: aim}, minimal, 1.05},
		"a mode to null":             {options{mode: "oidc", subject: handler, limit: aim}, null, 0},
		"a yardstick":                {options{mode: "oidc", subject: minimal, limit: aim}, bare, 0},
		"request_header lines":       {options{mode: "oidc", subject: handler, strips: 10, limit: aim}, bare, 0},
		"no limit":                   {options{mode: "oidc", subject: handler}, bare, 0},
		"a limit that was asked for": {options{mode: "oidc", subject: minimal, limit: 1.2}, bare, 1.2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.o.maxRatio(test.against); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
