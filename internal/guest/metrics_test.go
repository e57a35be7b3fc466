// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

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

// configured is a configuration with metrics that other tests do not count in.
type configured struct {
	*guest.Metrics

	registry *prometheus.Registry
}

func configure(t *testing.T) *configured {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	return &configured{guest.NewMetrics(t.Context(), registry), registry}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Each handler of a configuration shows the metrics, and all of them count together.
func TestHandlersCountTogether(t *testing.T) {
	m := configure(t)
	for range 2 {
		must(t, m.ForHandler([]string{"rejected"}), m.ForProxies())
		source := m.ForSource("oidc", []string{"rejected", "absent"})
		source.OK.Inc()
		source.Seconds.Observe(1)
		m.Requests.WithLabelValues("none", "rejected").Inc()
		m.Untrusted.Add(3)
		took, err := m.ForReviews(func() int { return 2 })
		must(t, err)
		took(1)
		count, err := m.ForCache("token_review")
		must(t, err)
		count(true)
		count(true)
		count(false)
	}
	for name, want := range map[string]map[string]float64{
		"requests_total":                  {"ok oidc": 2, "rejected none": 2, "rejected oidc": 0, "absent oidc": 0},
		"authentication_duration_seconds": {"oidc": 2},
		"untrusted_fields_total":          {"": 6},
		"review_duration_seconds":         {"": 2},
		"reviews_waiting":                 {"": 4},
		"cache_requests_total":            {"token_review hit": 4, "token_review miss": 2},
	} {
		if got := gathered(t, m.registry, name); !maps.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestAMetricIsThereOnlyWithWhatItIsAbout(t *testing.T) {
	m := configure(t)
	must(t, m.ForHandler(nil))
	families, err := m.registry.Gather()
	must(t, err)
	if len(families) != 0 {
		t.Errorf("a handler without a source has %v", families)
	}
	m.ForSource("forwarded", nil)
	must(t, m.ForLogins("oidc", []string{"loop"}, []string{"user"}))
	for name, want := range map[string]map[string]float64{
		"requests_total":           {"ok forwarded": 0},
		"logins_total":             {"ok oidc": 0, "loop oidc": 0},
		"refreshes_total":          {"ok oidc": 0, "ended oidc": 0, "unavailable oidc": 0},
		"logouts_total":            {"user": 0},
		"refresh_duration_seconds": {"": 0},
		"session_size_bytes":       {"": 0},
		"untrusted_fields_total":   {},
		"cache_requests_total":     {},
	} {
		if got := gathered(t, m.registry, name); !maps.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// A reload must not begin at zero, and what the new configuration does not have must go.
func TestMetricsOutliveAConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, end := caddy.NewContext(caddy.Context{Context: t.Context()})
		first := guest.MetricsOf(before)
		must(t, first.ForHandler([]string{"absent"}), first.ForProxies(),
			first.WatchCredential("a/gone", func() time.Time { return time.Unix(7, 0) }))
		first.ForSource("stays", nil).OK.Inc()
		first.ForSource("goes", nil).OK.Inc()

		after, endAfter := caddy.NewContext(caddy.Context{Context: t.Context()})
		defer endAfter()
		must(t, guest.KeepMetrics(after))
		registry := after.GetMetricsRegistry()
		want := map[string]float64{"ok stays": 1, "ok goes": 1, "absent none": 0}
		if got := gathered(t, registry, "requests_total"); !maps.Equal(got, want) {
			t.Errorf("after a reload that has not come to the handler: %v, want %v", got, want)
		}
		second := guest.MetricsOf(after)
		must(t, second.ForHandler([]string{"absent"}))
		second.ForSource("stays", nil).OK.Inc()
		end()
		synctest.Wait()
		want = map[string]float64{"ok stays": 2, "absent none": 0}
		if got := gathered(t, registry, "requests_total"); !maps.Equal(got, want) {
			t.Errorf("after the reload: %v, want %v", got, want)
		}
		for _, name := range []string{"untrusted_fields_total", "credential_expiry_timestamp_seconds"} {
			if got := gathered(t, registry, name); len(got) != 0 {
				t.Errorf("%s is still there: %v", name, got)
			}
		}
	})
}

func TestMetricsWhoseNameIsTaken(t *testing.T) {
	m := configure(t)
	m.registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "caddy_kube_identity_review_duration_seconds", Help: "Of another plugin."}))
	if _, err := m.ForReviews(func() int { return 0 }); err == nil || !strings.Contains(err.Error(), "registering metrics: ") {
		t.Errorf("error %v", err)
	}
}

// An alert must not depend on which of several credentials was loaded last.
func TestTheEarliestDateIsShown(t *testing.T) {
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
			m := configure(t)
			for _, date := range test.dates {
				of := func(show func(string, time.Time)) { show("kiali/proxy", date) }
				must(t, m.WatchCredential("kiali/proxy", func() time.Time { return date }), m.WatchKeySets(of), m.WatchCRLs(of))
			}
			for _, name := range []string{
				"credential_expiry_timestamp_seconds", "key_set_last_success_timestamp_seconds", "crl_next_update_timestamp_seconds",
			} {
				if got := gathered(t, m.registry, name); !maps.Equal(got, test.want) {
					t.Errorf("%s is %v, want %v", name, got, test.want)
				}
			}
		})
	}
}

// A credential is renewed while the registry stays.
func TestADateIsAskedForWhenTheMetricIs(t *testing.T) {
	m := configure(t)
	var expires time.Time
	must(t, m.WatchCredential("kiali/proxy", func() time.Time { return expires }),
		m.WatchCredential("kiali/other", func() time.Time { return time.Unix(7, 0) }))
	for _, seconds := range []int64{1000, 2000, 1500} {
		expires = time.Unix(seconds, 0)
		want := map[string]float64{"kiali/proxy": float64(seconds), "kiali/other": 7}
		if got := gathered(t, m.registry, "credential_expiry_timestamp_seconds"); !maps.Equal(got, want) {
			t.Errorf("there is %v, want %v", got, want)
		}
	}
}

// A path may have any bytes, and Prometheus takes UTF-8 only: a scrape must not end the process.
func TestALabelThatIsNotUTF8(t *testing.T) {
	m := configure(t)
	must(t, m.WatchCRLs(func(show func(string, time.Time)) { show("clients\xff.crl", time.Unix(7, 0)) }))
	want := map[string]float64{"clients\uFFFD.crl": 7}
	if got := gathered(t, m.registry, "crl_next_update_timestamp_seconds"); !maps.Equal(got, want) {
		t.Errorf("there is %v, want %v", got, want)
	}
}

// What is watched may look at a file that hangs, while another configuration is loaded.
func TestAScrapeThatHangsKeepsNoConfigurationFromLoading(t *testing.T) {
	m := configure(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	must(t, m.WatchKeySets(func(func(string, time.Time)) {
		close(asked)
		<-goOn
	}))
	scraped := make(chan struct{})
	go func() {
		_, _ = m.registry.Gather()
		close(scraped)
	}()
	<-asked
	must(t, m.WatchKeySets(func(func(string, time.Time)) {})) // would wait for ever
	close(goOn)
	<-scraped
}

func TestPreflightsAreCountedFromZero(t *testing.T) {
	m := configure(t)
	must(t, m.ForHandler(nil))
	m.ForPreflights("preflight")
	if got := gathered(t, m.registry, "requests_total"); !maps.Equal(got, map[string]float64{"ok preflight": 0}) {
		t.Errorf("there is %v", got)
	}
}
