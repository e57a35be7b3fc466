// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are values that are asked for when the metric is collected: what they are about
// outlives the configuration that shows them.
type gauges struct {
	desc    *prometheus.Desc
	label   string // its name; empty for one value without a label
	combine func(a, b float64) float64

	mu      sync.Mutex
	watched map[*watched]struct{}
}

// watched has values by the label. Sites that share a state watch it each.
type watched struct {
	values func(show func(label string, value float64))
}

func newGauges(name, help, label string, combine func(a, b float64) float64) *gauges {
	var labels []string
	if label != "" {
		labels = []string{label}
	}
	return &gauges{
		desc:    prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil),
		label:   label,
		combine: combine,
		watched: make(map[*watched]struct{}),
	}
}

// watch adds values until the context ends. Those under one label are combined.
func (g *gauges) watch(ctx context.Context, values func(show func(label string, value float64))) {
	w := &watched{values}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watched[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watched, w)
	})
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(descs chan<- *prometheus.Desc) { descs <- g.desc }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(values chan<- prometheus.Metric) {
	for label, value := range g.combined() {
		var labels []string
		if g.label != "" {
			labels = []string{label}
		}
		values <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, labels...)
	}
}

// combined asks all that is watched. Some of it looks at a file, so that no lock is held: a
// configuration that is loaded adds what it has.
func (g *gauges) combined() map[string]float64 {
	g.mu.Lock()
	watching := slices.Collect(maps.Keys(g.watched))
	g.mu.Unlock()
	all := make(map[string]float64)
	show := func(label string, value float64) {
		label = strings.ToValidUTF8(label, "\uFFFD") // a path can be anything
		if other, known := all[label]; known {
			value = g.combine(other, value)
		}
		all[label] = value
	}
	for _, w := range watching {
		w.values(show)
	}
	return all
}

// timestamp is a date in seconds since 1970; 0 for none.
func timestamp(date time.Time) float64 {
	if date.IsZero() {
		return 0
	}
	return float64(date.Unix())
}

func smaller(a, b float64) float64 { return min(a, b) }

func sum(a, b float64) float64 { return a + b }
