// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// measurePair compares two servers.
func (l *lab) measurePair(ctx context.Context) error {
	s, err := l.scenario(l.options)
	if err != nil {
		return err
	}
	subjects, err := l.startAll(ctx, s, l.against, l.measured())
	if err != nil {
		return err
	}
	defer stopAll(subjects)
	if err := l.compare(subjects); err != nil {
		return err
	}
	if l.profile == "" {
		return nil
	}
	for _, s := range subjects {
		if err := s.takeProfile(ctx, l.options); err != nil {
			return err
		}
	}
	return nil
}

// measured names the handler of the server that is measured.
func (o options) measured() string {
	if o.strips > 0 {
		return stripper
	}
	return o.subject
}

// what names the measured subject, for the report.
func (o options) what() string {
	switch {
	case o.strips > 0:
		return fmt.Sprintf("%d request_header lines", o.strips)
	case o.subject != handler:
		return fmt.Sprintf("%s, with the request of %s", o.subject, o.mode)
	}
	return o.mode
}

// maxRatio is the largest median ratio of the mode to a yardstick; 0 if there is none.
func (o options) maxRatio(against string) float64 {
	if o.limit != aim {
		return o.limit
	}
	if o.measured() != handler {
		return 0
	}
	switch against {
	case bearerToken:
		return sessionLimit
	case bare:
		at := slices.IndexFunc(modes(), func(m mode) bool { return m.name == o.mode })
		return modes()[at].limit
	case minimal:
		return minimalLimit
	default:
		return 0
	}
}

// compare prints the cost of the second subject as a ratio to that of the first.
func (l *lab) compare(subjects []*subject) error {
	costs, err := l.rounds(subjects, func(i int, cost []float64) {
		fmt.Printf("pair %2d: %s %6.2f  other %6.2f  ratio %.3f\n", i+1, l.against, cost[0], cost[1], cost[1]/cost[0])
	})
	if err != nil {
		return err
	}
	ratio := newFigure(ratios(costs[1], costs[0]))
	fmt.Printf("\nCPU seconds of caddy per 100,000 requests, median of %d blocks of %d requests over %d connections:\n",
		l.pairs, l.requests, l.connections)
	fmt.Printf("%s %.2f, the other (%s) %.2f\n", l.against, quantile(costs[0], 0.5), l.what(), quantile(costs[1], 0.5))
	fmt.Printf("ratio of the pairs: median %.3f, 90 %% interval %.3f to %.3f, quartiles %.3f to %.3f, all %.3f to %.3f\n",
		ratio.median, ratio.low, ratio.high, ratio.lower, ratio.upper, ratio.least, ratio.most)
	return exceeds("the median ratio", ratio.median, l.maxRatio(l.against))
}

// exceeds is an error if a value is above a limit, unless that is 0.
func exceeds(what string, value, limit float64) error {
	if limit > 0 && value > limit {
		return fmt.Errorf("%s %.3f is above %.2f", what, value, limit)
	}
	return nil
}

// rounds measures the subjects in turn, and returns the CPU seconds of each, round by round.
// It calls each with those of a round.
func (o options) rounds(subjects []*subject, each func(round int, cost []float64)) ([][]float64, error) {
	costs := make([][]float64, len(subjects))
	for _, s := range subjects { // warm-up, not counted
		if _, err := s.block(o); err != nil {
			return nil, err
		}
	}
	for round := range o.pairs {
		cost := make([]float64, len(subjects))
		for _, i := range order(round, len(subjects)) {
			var err error
			if cost[i], err = subjects[i].block(o); err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], cost[i])
		}
		if each != nil {
			each(round, cost)
		}
	}
	return costs, nil
}

// order is the order of n blocks in a round. Each second round is the one before it
// backwards, so that a drift of the machine's speed affects all; after two rounds another
// one begins, so that each comes after each.
func order(round, n int) []int {
	turn := make([]int, n)
	for i := range turn {
		turn[i] = (i + round/2) % n
	}
	if round%2 == 1 {
		slices.Reverse(turn)
	}
	return turn
}

// ratios divides round by round.
func ratios(costs, references []float64) []float64 {
	divided := make([]float64, len(costs))
	for i := range costs {
		divided[i] = costs[i] / references[i]
	}
	return divided
}

// joined is errors.Join of those that are added.
type joined []error

func (j *joined) add(err error) { *j = append(*j, err) }
func (j *joined) err() error    { return errors.Join(*j...) }
