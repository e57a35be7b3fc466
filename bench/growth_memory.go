// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// crowd is how many connections have a request under way at once.
	crowd = 512

	// memoryRounds is how often a pair of new processes is compared.
	memoryRounds = 7
)

// growMemory compares by how much the memory of new processes grows while each connection
// has a request that waits for the upstream.
func (l *lab) growMemory(ctx context.Context) error {
	slow := *l
	slow.took = time.Second
	s, err := slow.scenario(slow.options)
	if err != nil {
		return err
	}
	grown := make([][]float64, 2)
	for round := range memoryRounds {
		subjects, err := slow.startAll(ctx, s, bare, handler)
		if err != nil {
			return err
		}
		for _, i := range order(round, len(subjects)) {
			growth, err := subjects[i].crowded()
			if err != nil {
				stopAll(subjects)
				return err
			}
			grown[i] = append(grown[i], growth/1024)
		}
		stopAll(subjects)
	}
	fmt.Printf("\n%s: resident memory of %d connections with a request under way, at its peak, over that before, in KiB a connection,"+
		" median of %d processes of each:\n\n", l.mode, crowd, memoryRounds)
	fmt.Println("| bare | kube_identity | ratio |\n| --- | --- | --- |")
	fmt.Printf("| %.1f | %.1f | %s |\n", quantile(grown[0], 0.5), quantile(grown[1], 0.5), newFigure(ratios(grown[1], grown[0])))
	return nil
}

// crowded returns by how much the memory grows, in bytes for each connection.
func (s *subject) crowded() (float64, error) {
	if _, err := s.block(options{requests: 1, connections: 1}); err != nil {
		return 0, err
	}
	before, _, err := s.memory()
	if err != nil {
		return 0, err
	}
	if err := s.forgetMost(); err != nil {
		return 0, err
	}
	if _, err := s.block(options{requests: 3 * crowd, connections: crowd}); err != nil {
		return 0, err
	}
	_, peak, err := s.memory()
	return float64(peak-before) / crowd, err
}
