// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func newMetrics(t *testing.T, registry *prometheus.Registry) *guest.Metrics {
	t.Helper()
	metrics, err := guest.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// gathered returns the values of a metric by its labels; the value of a histogram is the number
// of its observations.
func gathered(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "caddy_kube_identity_"+name {
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

// Each handler of a configuration registers the metrics, and all of them count together.
func TestMetricsRegisteredTwiceAreShared(t *testing.T) {
	registry := prometheus.NewRegistry()
	expires := time.Unix(1000, 0)
	for n, metrics := range []*guest.Metrics{newMetrics(t, registry), newMetrics(t, registry)} {
		source := metrics.ForSource("oidc")
		source.OK.Inc()
		source.Seconds.Observe(1)
		metrics.Requests.WithLabelValues("none", "rejected").Inc()
		metrics.Untrusted.Add(3)
		metrics.Review.Observe(1)
		count := metrics.ForCache("token_review")
		count(true)
		count(true)
		count(false)
		at := expires.Add(time.Duration(n) * time.Second)
		metrics.Expiry.Watch("kiali/proxy", func() time.Time { return at })
	}
	for name, want := range map[string]map[string]float64{
		"requests_total":                      {"ok oidc": 2, "rejected none": 2},
		"authenticate_seconds":                {"oidc": 2},
		"untrusted_fields_total":              {"": 6},
		"review_seconds":                      {"": 2},
		"cache_total":                         {"token_review hit": 4, "token_review miss": 2},
		"credential_expiry_timestamp_seconds": {"kiali/proxy": 1000},
	} {
		if got := gathered(t, registry, name); !maps.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestMetricsOfAnotherConfigurationBeginAtZero(t *testing.T) {
	newMetrics(t, prometheus.NewRegistry()).Untrusted.Inc()
	registry := prometheus.NewRegistry()
	newMetrics(t, registry)
	if got := gathered(t, registry, "untrusted_fields_total"); !maps.Equal(got, map[string]float64{"": 0}) {
		t.Errorf("there are %v", got)
	}
}

func TestMetricsWhoseNameIsTaken(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "caddy_kube_identity_review_seconds", Help: "Of another plugin."}))
	if _, err := guest.NewMetrics(registry); err == nil || !strings.Contains(err.Error(), "registering metrics: ") {
		t.Errorf("error %v", err)
	}
}

// An alert must not depend on which of several credentials was loaded last.
func TestTheEarliestExpiryIsShown(t *testing.T) {
	none, soon, late := time.Time{}, time.Unix(1000, 0), time.Unix(2000, 0)
	for name, test := range map[string]struct {
		dates []time.Time
		want  map[string]float64
	}{
		"no credential":                    {nil, map[string]float64{}},
		"one":                              {[]time.Time{late}, map[string]float64{"kiali/proxy": 2000}},
		"a credential that is missing":     {[]time.Time{none}, map[string]float64{"kiali/proxy": 0}},
		"the earliest first":               {[]time.Time{soon, late}, map[string]float64{"kiali/proxy": 1000}},
		"the earliest last":                {[]time.Time{late, soon}, map[string]float64{"kiali/proxy": 1000}},
		"a missing credential comes first": {[]time.Time{late, none, soon}, map[string]float64{"kiali/proxy": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			metrics := newMetrics(t, registry)
			for _, date := range test.dates {
				metrics.Expiry.Watch("kiali/proxy", func() time.Time { return date })
			}
			if got := gathered(t, registry, "credential_expiry_timestamp_seconds"); !maps.Equal(got, test.want) {
				t.Errorf("there is %v, want %v", got, test.want)
			}
		})
	}
}

// A credential is renewed while the registry stays.
func TestAnExpiryIsAskedForWhenTheMetricIs(t *testing.T) {
	registry := prometheus.NewRegistry()
	var expires time.Time
	metrics := newMetrics(t, registry)
	metrics.Expiry.Watch("kiali/proxy", func() time.Time { return expires })
	metrics.Expiry.Watch("kiali/other", func() time.Time { return time.Unix(7, 0) })
	for _, seconds := range []int64{1000, 2000, 1500} {
		expires = time.Unix(seconds, 0)
		want := map[string]float64{"kiali/proxy": float64(seconds), "kiali/other": 7}
		if got := gathered(t, registry, "credential_expiry_timestamp_seconds"); !maps.Equal(got, want) {
			t.Errorf("there is %v, want %v", got, want)
		}
	}
}
