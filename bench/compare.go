// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// measure starts the two servers and compares them.
func measure(ctx context.Context, o options, dir string) error {
	if o.pairs < 11 {
		return errors.New("fewer than 11 pairs prove nothing on a shared machine")
	}
	s, err := newScenario(ctx, o, dir)
	if err != nil {
		return err
	}
	upstream, err := startUpstream(ctx, 0)
	if err != nil {
		return err
	}
	bare, err := startCaddy(ctx, dir, o.caddy, config{name: "bare", site: site("", upstream, o.idle), admin: o.profile != ""})
	if err != nil {
		return err
	}
	defer bare.stop()
	other, err := startCaddy(ctx, dir, o.caddy, config{name: "other", site: site(s.directive, upstream, o.idle), admin: o.profile != ""})
	if err != nil {
		return err
	}
	defer other.stop()
	if err := compare(o, s.request, other, bare); err != nil {
		return err
	}
	if o.profile == "" {
		return nil
	}
	for _, server := range []*server{bare, other} {
		if err := server.profile(ctx, o, s.request); err != nil {
			return err
		}
	}
	return nil
}

// compare runs the blocks in turn. The order within a pair changes from pair to pair, so
// that a drift of the machine's speed affects both.
func compare(o options, request string, other, bare *server) error {
	for _, s := range []*server{bare, other} { // warm-up, not counted
		if _, err := s.block(o, request); err != nil {
			return err
		}
	}
	var ratios, costs, references []float64
	for i := range o.pairs {
		order := []*server{bare, other}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		cost := map[*server]float64{}
		for _, s := range order {
			var err error
			if cost[s], err = s.block(o, request); err != nil {
				return err
			}
		}
		ratios = append(ratios, cost[other]/cost[bare])
		costs, references = append(costs, cost[other]), append(references, cost[bare])
		fmt.Printf("pair %2d: bare %6.2f  other %6.2f  ratio %.3f\n", i+1, cost[bare], cost[other], ratios[i])
	}
	fmt.Printf("\nCPU seconds of caddy per 100,000 requests, median of %d blocks of %d requests over %d connections:\n",
		o.pairs, o.requests, o.connections)
	fmt.Printf("bare reverse_proxy %.2f, the other (%s) %.2f\n", quantile(references, 0.5), o.what(), quantile(costs, 0.5))
	median := quantile(ratios, 0.5)
	fmt.Printf("ratio of the pairs: median %.3f, quartiles %.3f to %.3f, all %.3f to %.3f\n",
		median, quantile(ratios, 0.25), quantile(ratios, 0.75), slices.Min(ratios), slices.Max(ratios))
	if o.limit > 0 && median > o.limit {
		return fmt.Errorf("the median ratio %.3f is above %.2f", median, o.limit)
	}
	return nil
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
