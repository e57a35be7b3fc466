// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// WantNothingLeft waits until no configuration's state is left, and no goroutine of one,
// except those of service accounts, which are kept for a while.
func WantNothingLeft(tb testing.TB) {
	tb.Helper()
	if left := guest.States(); len(left) > 0 {
		tb.Errorf("there is still %v", left)
	}
	WaitUntil(tb, "no goroutine is left", func() bool {
		return Goroutines("oidc.(*RemoteKeys)", "tokencache.(*Cache)") == 0
	})
}

// Goroutines counts the goroutines that are in one of these functions.
func Goroutines(functions ...string) int {
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	count := 0
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if slices.ContainsFunc(functions, func(f string) bool { return strings.Contains(stack, f) }) {
			count++
		}
	}
	return count
}

// Metrics returns the values of a metric, or how much it has counted, by its labels.
func (h *Handler) Metrics(tb testing.TB, name string) map[string]float64 {
	tb.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[strings.Join(labels, " ")] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}
