// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
)

// Metrics are the metrics for one configuration, in Caddy's registry. Their labels take values
// from closed sets: the names of source modules, results, and names of the configuration. What
// they count is shared with other configurations: a reload does not begin at zero, and after a
// failed one, whose registry the admin endpoint shows, the present configuration still counts.
// A metric is there only while a configuration has what it is about.
type Metrics struct {
	*collectors

	ctx      context.Context //nolint:containedctx // of the configuration
	registry *prometheus.Registry
}

// metricsKey is the key of the metrics in the context that guests are provisioned with.
type metricsKey struct{}

// WithMetrics returns a context whose guests find these metrics: making them for each guest of
// many sites would take as long as the guests themselves.
func WithMetrics(ctx caddy.Context, metrics *Metrics) caddy.Context {
	return ctx.WithValue(metricsKey{}, metrics)
}

// MetricsOf returns the metrics of the handler ([WithMetrics]), or those of all configurations.
func MetricsOf(ctx caddy.Context) *Metrics {
	if metrics, ok := ctx.Value(metricsKey{}).(*Metrics); ok {
		return metrics
	}
	return &Metrics{shared, ctx, ctx.GetMetricsRegistry()}
}

// NewMetrics returns metrics that are not shared with other configurations. They are for tests.
func NewMetrics(ctx context.Context, registry *prometheus.Registry) *Metrics {
	return &Metrics{newCollectors(), ctx, registry}
}

// KeepMetrics shows in this registry too what the present configuration counts: if this
// configuration fails, the admin endpoint keeps its registry.
func KeepMetrics(ctx caddy.Context) error {
	m := &Metrics{shared, ctx, ctx.GetMetricsRegistry()}
	var errs []error
	for _, f := range m.families() {
		errs = append(errs, m.register(f))
	}
	return errors.Join(errs...)
}

// use shows a metric while the configuration is there.
func (m *Metrics) use(used ...*family) error {
	for _, f := range used {
		if err := m.register(f); err != nil {
			return err
		}
		f.users.Add(1)
		context.AfterFunc(m.ctx, func() { f.users.Add(-1) })
	}
	return nil
}

func (m *Metrics) register(f *family) error {
	err := m.registry.Register(f)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok && there.ExistingCollector == prometheus.Collector(f) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// ForHandler is called once by each handler. results are the values of that label that refusals
// have: a counter that appears only with the first refusal would hide it from rate().
func (m *Metrics) ForHandler(results []string) error {
	m.keep(m.ctx, m.Requests, "source", "none")
	for _, result := range results {
		m.Requests.WithLabelValues("none", result)
	}
	return m.use(m.requests, m.authentication)
}

// ForPreflights is called where preflights of other origins are forwarded, which no source decides
// about.
func (m *Metrics) ForPreflights(source string) {
	m.keep(m.ctx, m.Requests, "source", source)
	m.Requests.WithLabelValues(source, "ok")
}

// ForProxies is called where only trusted proxies may set some fields.
func (m *Metrics) ForProxies() error { return m.use(m.untrusted) }

// SourceMetrics are the counters of one source, looked up once.
type SourceMetrics struct {
	OK      prometheus.Counter
	Seconds prometheus.Observer
}

// ForSource returns the counters of one source. results are as in [Metrics.ForHandler].
func (m *Metrics) ForSource(name string, results []string) SourceMetrics {
	m.keep(m.ctx, m.Requests, "source", name)
	m.keep(m.ctx, m.seconds, "source", name)
	for _, result := range results {
		m.Requests.WithLabelValues(name, result)
	}
	return SourceMetrics{
		OK:      m.Requests.WithLabelValues(name, "ok"),
		Seconds: m.seconds.WithLabelValues(name),
	}
}

// ForCache returns a function that counts the hits and misses of one kind of cache.
func (m *Metrics) ForCache(name string) (count func(hit bool), err error) {
	m.keep(m.ctx, m.lookups, "cache", name)
	hits, misses := m.lookups.WithLabelValues(name, "hit"), m.lookups.WithLabelValues(name, "miss")
	return func(hit bool) {
		if hit {
			hits.Inc()
		} else {
			misses.Inc()
		}
	}, m.use(m.cache)
}

// ForReviews returns a function that is told how long a review of a token took, in seconds. waiting
// says how many reviews wait for their turn.
func (m *Metrics) ForReviews(waiting func() int) (took func(seconds float64), err error) {
	m.waiting.watch(m.ctx, func(show func(label string, value float64)) { show("", float64(waiting())) })
	return m.review.Observe, m.use(m.reviews, m.waitingFamily)
}

// WatchCredential shows when one of the proxy's own credentials expires; zero while there is none.
func (m *Metrics) WatchCredential(name string, expires func() time.Time) error {
	m.expiry.watch(m.ctx, func(show func(label string, value float64)) { show(name, timestamp(expires())) })
	return m.use(m.expiryFamily)
}

// WatchKeySets shows when the keys of issuers were last read; zero before the first time.
func (m *Metrics) WatchKeySets(read func(show func(issuer string, at time.Time))) error {
	m.keySets.watch(m.ctx, dates(read))
	return m.use(m.keySetsFamily)
}

// WatchCRLs shows when revocation lists, by their file or URL, are to be replaced by the next
// ones; zero while there is none.
func (m *Metrics) WatchCRLs(nextUpdate func(show func(list string, at time.Time))) error {
	m.crls.watch(m.ctx, dates(nextUpdate))
	return m.use(m.crlsFamily)
}

func dates(of func(show func(label string, at time.Time))) func(show func(label string, value float64)) {
	return func(show func(label string, value float64)) {
		of(func(label string, at time.Time) { show(label, timestamp(at)) })
	}
}

// ForLogins is called where browsers log in. words are the values of result that failures have,
// kinds those of kind.
func (m *Metrics) ForLogins(source string, words, kinds []string) error {
	for _, word := range append([]string{"ok"}, words...) {
		m.Logins.WithLabelValues(source, word)
	}
	for _, result := range []string{"ok", "ended", "unavailable"} {
		m.Refreshes.WithLabelValues(source, result)
	}
	for _, kind := range kinds {
		m.Logouts.WithLabelValues(kind)
	}
	m.keep(m.ctx, m.Logins, "source", source)
	m.keep(m.ctx, m.Refreshes, "source", source)
	return m.use(m.logins...)
}
