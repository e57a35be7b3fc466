// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// shared is what all configurations count.
var shared = newCollectors() //nolint:gochecknoglobals // counters outlive a configuration, as a UsagePool does

// collectors are the metrics themselves.
type collectors struct {
	Requests  *prometheus.CounterVec // by source and result
	Untrusted prometheus.Counter     // fields dropped, since the peer is not trusted

	Logins         *prometheus.CounterVec // by source and result
	Refreshes      *prometheus.CounterVec // by source and result
	RefreshSeconds prometheus.Histogram   // of one refresh at the issuer
	Logouts        *prometheus.CounterVec // by kind
	SessionBytes   prometheus.Histogram   // of the cookies of one session

	seconds *prometheus.HistogramVec // by source
	lookups *prometheus.CounterVec   // by cache and result
	review  prometheus.Histogram     // seconds of a TokenReview or an introspection

	waiting, expiry, keySets, crls *gauges

	requests, authentication, untrusted, cache, reviews    *family
	waitingFamily, expiryFamily, keySetsFamily, crlsFamily *family
	logins                                                 []*family

	mu     sync.Mutex
	labels map[label]int // how many configurations have a label's value
}

// family is one metric, which is shown while a configuration uses it.
type family struct {
	prometheus.Collector

	users atomic.Int64
}

// Collect implements prometheus.Collector.
func (f *family) Collect(values chan<- prometheus.Metric) {
	if f.users.Load() > 0 {
		f.Collector.Collect(values)
	}
}

// label is a value of a label of one metric.
type label struct {
	of          vector
	name, value string
}

// vector is a metric with labels.
type vector interface {
	DeletePartialMatch(labels prometheus.Labels) int
}

// keep keeps the series with a label's value until no configuration has it any more.
func (c *collectors) keep(until context.Context, of vector, name, value string) {
	kept := label{of, name, value}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.labels[kept]++
	context.AfterFunc(until, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.labels[kept]--; c.labels[kept] == 0 {
			delete(c.labels, kept)
			of.DeletePartialMatch(prometheus.Labels{name: value})
		}
	})
}

func (c *collectors) families() []*family {
	return append([]*family{
		c.requests, c.authentication, c.untrusted, c.cache, c.reviews,
		c.waitingFamily, c.expiryFamily, c.keySetsFamily, c.crlsFamily,
	}, c.logins...)
}

const namespace, subsystem = "caddy", "kube_identity"

func newCollectors() *collectors {
	c := &collectors{labels: make(map[label]int)}
	c.Requests = counters("requests_total", "Requests by the source that decided and by result.", "source", "result")
	c.seconds = prometheus.NewHistogramVec(histogram("authentication_duration_seconds",
		"Time until a source decided, except about credentials that the site knew already.",
		1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10), []string{"source"})
	c.Untrusted = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "untrusted_fields_total",
		Help: "Header fields dropped because only a trusted proxy may set them.",
	})
	c.lookups = counters("cache_requests_total", "Lookups in a cache by whether it had the answer.", "cache", "result")
	c.review = prometheus.NewHistogram(histogram("review_duration_seconds", "Time the API server took for a TokenReview or a question about an impersonation, or an authorization server for an introspection.",
		1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5, 10))
	c.waiting = newGauges("reviews_waiting", "Such reviews that wait for their turn.", "", sum)
	c.expiry = newGauges("credential_expiry_timestamp_seconds",
		"When a credential of the proxy's own expires, such as the token of a service account; 0 while there is none.", "credential", smaller)
	c.keySets = newGauges("key_set_last_success_timestamp_seconds",
		"When the keys of an issuer were last read; 0 before the first time.", "issuer", smaller)
	c.crls = newGauges("crl_next_update_timestamp_seconds",
		"When a revocation list ends; 0 while there is none.", "crl", smaller)
	c.requests, c.authentication, c.untrusted = &family{Collector: c.Requests}, &family{Collector: c.seconds}, &family{Collector: c.Untrusted}
	c.cache, c.reviews, c.waitingFamily = &family{Collector: c.lookups}, &family{Collector: c.review}, &family{Collector: c.waiting}
	c.expiryFamily, c.keySetsFamily, c.crlsFamily = &family{Collector: c.expiry}, &family{Collector: c.keySets}, &family{Collector: c.crls}
	c.addLogins()
	return c
}

// addLogins makes the metrics of browsers that log in.
func (c *collectors) addLogins() {
	c.Logins = counters("logins_total", "Logins of browsers that came back from the issuer.", "source", "result")
	c.Refreshes = counters("refreshes_total", "Refreshes of sessions at the issuer.", "source", "result")
	c.RefreshSeconds = prometheus.NewHistogram(histogram("refresh_duration_seconds", "Time a refresh of a session took.",
		1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5, 10, 30))
	c.Logouts = counters("logouts_total", "Logouts by what asked for them.", "kind")
	c.SessionBytes = prometheus.NewHistogram(histogram("session_size_bytes", "Size of the cookies of a session when they are written.",
		512, 1024, 2048, 3072, 4096, 6144, 8192))
	for _, collector := range []prometheus.Collector{c.Logins, c.Refreshes, c.RefreshSeconds, c.Logouts, c.SessionBytes} {
		c.logins = append(c.logins, &family{Collector: collector})
	}
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
	}, labels)
}

func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets}
}
