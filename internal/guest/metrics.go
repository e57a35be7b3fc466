// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
)

// Metrics are shared by all handlers of one configuration, in Caddy's registry. Their
// labels take values from closed sets: the names of source modules, and results.
type Metrics struct {
	Requests  *prometheus.CounterVec // by source and result
	Untrusted prometheus.Counter     // fields dropped, since the peer is not trusted
	Review    prometheus.Histogram   // seconds of a TokenReview
	Expiry    *Expiries              // of the proxy's own credentials

	Logins         *prometheus.CounterVec // by source and result
	Refreshes      *prometheus.CounterVec // by source and result
	RefreshSeconds prometheus.Histogram   // of one refresh at the issuer
	Logouts        *prometheus.CounterVec // by kind
	SessionBytes   prometheus.Histogram   // of the cookies of one session

	seconds *prometheus.HistogramVec // by source, see [Metrics.ForSource]
	cache   *prometheus.CounterVec   // by cache and result, see [Metrics.ForCache]
}

// NewMetrics registers the metrics, or finds those that another handler registered.
func NewMetrics(registry *prometheus.Registry) (*Metrics, error) {
	const namespace, subsystem = "caddy", "kube_identity"
	m := &Metrics{
		Requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_total",
			Help: "Requests by the source that decided and by result.",
		}, []string{"source", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "authenticate_seconds",
			Help:    "Time until a source decided, except about credentials that the site knew already.",
			Buckets: []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10},
		}, []string{"source"}),
		Untrusted: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "untrusted_fields_total",
			Help: "Header fields dropped because only a trusted proxy may set them.",
		}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "cache_total",
			Help: "Lookups in a cache by whether it had the answer.",
		}, []string{"cache", "result"}),
		Review: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "review_seconds",
			Help:    "Time the API server took for a TokenReview.",
			Buckets: []float64{1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5, 10},
		}),
		Expiry: newExpiries(prometheus.BuildFQName(namespace, subsystem, "credential_expiry_timestamp_seconds")),
	}
	m.addLogins(namespace, subsystem)
	err := errors.Join(
		register(registry, &m.Requests),
		register(registry, &m.seconds),
		register(registry, &m.Untrusted),
		register(registry, &m.cache),
		register(registry, &m.Review),
		register(registry, &m.Expiry),
		register(registry, &m.Logins),
		register(registry, &m.Refreshes),
		register(registry, &m.RefreshSeconds),
		register(registry, &m.Logouts),
		register(registry, &m.SessionBytes),
	)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

// metricsKey is the key of the metrics in the context that guests are provisioned with.
type metricsKey struct{}

// WithMetrics returns a context whose guests find these metrics: making them for each guest of
// many sites would take as long as the guests themselves.
func WithMetrics(ctx caddy.Context, metrics *Metrics) caddy.Context {
	return ctx.WithValue(metricsKey{}, metrics)
}

// MetricsOf returns the metrics of the handler ([WithMetrics]).
func MetricsOf(ctx caddy.Context) (*Metrics, error) {
	if metrics, ok := ctx.Value(metricsKey{}).(*Metrics); ok {
		return metrics, nil
	}
	return NewMetrics(ctx.GetMetricsRegistry())
}

// addLogins makes the metrics of browsers that log in.
func (m *Metrics) addLogins(namespace, subsystem string) {
	m.Logins = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "login_total",
		Help: "Logins of browsers that came back from the issuer.",
	}, []string{"source", "result"})
	m.Refreshes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "refresh_total",
		Help: "Refreshes of sessions at the issuer.",
	}, []string{"source", "result"})
	m.RefreshSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "refresh_seconds",
		Help:    "Time a refresh of a session took.",
		Buckets: []float64{1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5, 10, 30},
	})
	m.Logouts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "logout_total",
		Help: "Logouts by what asked for them.",
	}, []string{"kind"})
	m.SessionBytes = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "session_bytes",
		Help:    "Size of the cookies of a session when they are written.",
		Buckets: []float64{512, 1024, 2048, 3072, 4096, 6144, 8192},
	})
}

// register registers a collector. If the registry already has the collector, *collector
// becomes that one.
func register[C prometheus.Collector](registry *prometheus.Registry, collector *C) error {
	err := registry.Register(*collector)
	there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
	if !ok {
		return err
	}
	existing, ok := there.ExistingCollector.(C)
	if !ok {
		return err
	}
	*collector = existing
	return nil
}

// ForCache returns a function that counts the hits and misses of one kind of cache.
func (m *Metrics) ForCache(name string) func(hit bool) {
	hits, misses := m.cache.WithLabelValues(name, "hit"), m.cache.WithLabelValues(name, "miss")
	return func(hit bool) {
		if hit {
			hits.Inc()
		} else {
			misses.Inc()
		}
	}
}

// SourceMetrics are the counters of one source, looked up once.
type SourceMetrics struct {
	OK      prometheus.Counter
	Seconds prometheus.Observer
}

// ForSource returns the counters of one source.
func (m *Metrics) ForSource(name string) SourceMetrics {
	return SourceMetrics{
		OK:      m.Requests.WithLabelValues(name, "ok"),
		Seconds: m.seconds.WithLabelValues(name),
	}
}

// Expiries says when the proxy's own credentials expire. A credential is asked when the
// metric is collected, since it outlives the configuration whose registry this is.
type Expiries struct {
	desc *prometheus.Desc

	mu    sync.Mutex
	dates map[string][]func() time.Time
}

func newExpiries(name string) *Expiries {
	return &Expiries{
		desc: prometheus.NewDesc(name, "When the service-account token that the proxy impersonates with expires; "+
			"0 while there is none.", []string{"service_account"}, nil),
		dates: make(map[string][]func() time.Time),
	}
}

// Watch adds a credential. If several have the same service account (other audiences, or
// another cluster), the earliest expiry is shown.
func (e *Expiries) Watch(serviceAccount string, date func() time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dates[serviceAccount] = append(e.dates[serviceAccount], date)
}

// Describe implements prometheus.Collector.
func (e *Expiries) Describe(descs chan<- *prometheus.Desc) { descs <- e.desc }

// Collect implements prometheus.Collector.
func (e *Expiries) Collect(values chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for serviceAccount, dates := range e.dates {
		first := math.Inf(1)
		for _, date := range dates {
			seconds := 0.0
			if at := date(); !at.IsZero() {
				seconds = float64(at.Unix())
			}
			first = min(first, seconds)
		}
		values <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, first, serviceAccount)
	}
}
