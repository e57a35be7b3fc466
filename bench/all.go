// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
)

// measureAll measures each mode beside bare and minimal, and prints a table.
func (l *lab) measureAll(ctx context.Context) error {
	fmt.Printf("CPU seconds of caddy per 100,000 requests, median of %d rounds of %d requests over %d connections, "+
		"and ratios with the 90 %% interval of the median:\n\n", l.pairs, l.requests, l.connections)
	fmt.Println("| mode | bare | minimal | kube_identity | to bare | to minimal | minimal to bare |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	var broken joined
	for _, name := range modeNames() {
		o := l.options
		o.mode = name
		costs, err := l.beside(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		toBare, toMinimal := newFigure(ratios(costs[2], costs[0])), newFigure(ratios(costs[2], costs[1]))
		fmt.Printf("| `%s` | %.2f | %.2f | %.2f | %s | %s | %s |\n", name,
			quantile(costs[0], 0.5), quantile(costs[1], 0.5), quantile(costs[2], 0.5),
			toBare, toMinimal, newFigure(ratios(costs[1], costs[0])))
		broken.add(exceeds(name+": the median ratio to bare", toBare.median, o.maxRatio(bare)))
		broken.add(exceeds(name+": the median ratio to minimal", toMinimal.median, o.maxRatio(minimal)))
	}
	return broken.err()
}

// beside measures the mode of the options: the costs of bare, of minimal and of
// kube_identity.
func (l *lab) beside(ctx context.Context, o options) ([][]float64, error) {
	s, err := l.scenario(o)
	if err != nil {
		return nil, err
	}
	subjects, err := l.startAll(ctx, s, bare, minimal, handler)
	if err != nil {
		return nil, err
	}
	defer stopAll(subjects)
	return o.rounds(subjects, progress(fmt.Sprintf("%s, %d connections", o.mode, o.connections)))
}

// progress tells of each round on stderr, so that stdout has the tables alone.
func progress(what string) func(int, []float64) {
	return func(round int, cost []float64) { fmt.Fprintf(os.Stderr, "%s, round %d: %.2f\n", what, round+1, cost) }
}
