// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

const (
	// maxSlope is how much faster than that of minimal the cost may grow with the groups.
	maxSlope = 1.2

	// maxSource is what a further source may add, as a part of the cost of a bare request.
	maxSource = 0.01
)

// measureGrowth measures how the cost of a mode grows.
func (l *lab) measureGrowth(ctx context.Context) error {
	var broken joined
	for _, measure := range []func(context.Context) error{l.growByGroups, l.growBySources} {
		broken.add(measure(ctx))
	}
	if err := l.growByConnections(ctx); err != nil {
		return err
	}
	if err := l.growMemory(ctx); err != nil {
		return err
	}
	if l.limit == 0 {
		return nil
	}
	return broken.err()
}

// growByGroups compares the slope with that of minimal, which forwards the same lines.
func (l *lab) growByGroups(ctx context.Context) error {
	counts := []int{1, 50, 200}
	var subjects []*subject
	defer func() { stopAll(subjects) }()
	for _, n := range counts {
		o := l.options
		o.groups = n
		s, err := l.scenario(o)
		if err != nil {
			return err
		}
		both, err := l.startAll(ctx, s, minimal, handler)
		if err != nil {
			return err
		}
		subjects = append(subjects, both...)
	}
	costs, err := l.rounds(subjects, progress(l.mode+", groups"))
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: CPU seconds per 100,000 requests by groups, median of %d rounds of %d requests over %d connections:\n\n",
		l.mode, l.pairs, l.requests, l.connections)
	fmt.Println("| groups | minimal | kube_identity | ratio |\n| --- | --- | --- | --- |")
	for i, n := range counts {
		least, with := costs[2*i], costs[2*i+1]
		fmt.Printf("| %d | %.2f | %.2f | %s |\n", n, quantile(least, 0.5), quantile(with, 0.5), newFigure(ratios(with, least)))
	}
	slope := newFigure(slopes(costs[1], costs[5], costs[0], costs[4]))
	fmt.Printf("\nslope from %d to %d groups, as a ratio to that of minimal: %s\n", counts[0], counts[2], slope)
	return exceeds("the slope by groups, beside that of minimal,", slope.median, maxSlope)
}

// slopes are by how much a cost grew, as a ratio to the growth of another.
func slopes(from, to, otherFrom, otherTo []float64) []float64 {
	return ratios(differences(to, from), differences(otherTo, otherFrom))
}

func differences(costs, from []float64) []float64 {
	result := make([]float64, len(costs))
	for i := range costs {
		result[i] = costs[i] - from[i]
	}
	return result
}

// growBySources has servers with 1 to 5 sources, of which the last one decides.
func (l *lab) growBySources(ctx context.Context) error {
	var subjects []*subject
	defer func() { stopAll(subjects) }()
	for n := range maxSources + 1 {
		o, name := l.options, handler
		o.sources = max(n, 1)
		if n == 0 {
			name = bare
		}
		s, err := l.scenario(o)
		if err != nil {
			return err
		}
		one, err := l.startAll(ctx, s, name)
		if err != nil {
			return err
		}
		subjects = append(subjects, one...)
	}
	costs, err := l.rounds(subjects, progress(l.mode+", sources"))
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: CPU seconds per 100,000 requests by sources; bare %.2f:\n\n", l.mode, quantile(costs[0], 0.5))
	fmt.Println("| sources | kube_identity | more than with one, as a part of bare |\n| --- | --- | --- |")
	for n := 1; n <= maxSources; n++ {
		more := newFigure(ratios(differences(costs[n], costs[1]), costs[0]))
		fmt.Printf("| %d | %.2f | %s |\n", n, quantile(costs[n], 0.5), more)
	}
	each := ratios(differences(costs[maxSources], costs[1]), costs[0])
	for i := range each {
		each[i] /= maxSources - 1
	}
	figure := newFigure(each)
	fmt.Printf("\neach further source, as a part of bare: %.4f (%.4f–%.4f)\n", figure.median, figure.low, figure.high)
	if figure.median > maxSource {
		return fmt.Errorf("a further source costs %.4f of a bare request, more than %v", figure.median, maxSource)
	}
	return nil
}

// growByConnections shows whether the clients wait for one another.
func (l *lab) growByConnections(ctx context.Context) error {
	fmt.Printf("\n%s: CPU by connections:\n\n", l.mode)
	fmt.Println("| connections | bare | kube_identity | to bare | to minimal |\n| --- | --- | --- | --- | --- |")
	for _, n := range []int{8, 64, 512} {
		o := l.options
		o.connections, o.requests = n, max(o.requests, n)
		costs, err := l.beside(ctx, o)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.2f | %.2f | %s | %s |\n", n, quantile(costs[0], 0.5), quantile(costs[2], 0.5),
			newFigure(ratios(costs[2], costs[0])), newFigure(ratios(costs[2], costs[1])))
	}
	return nil
}
