// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// maxAllocs is the number of allocations that a request may cost in the handler.
const maxAllocs = 25

// forwardedToImpersonation is the configuration of the usual case, with a token file.
func forwardedToImpersonation(tb testing.TB) object {
	tb.Helper()
	token := filepath.Join(tb.TempDir(), "token")
	testhandler.Write(tb, token, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n")
	old := time.Now().Add(-time.Hour) // a file that was written just now is read each time
	if err := os.Chtimes(token, old, old); err != nil {
		tb.Fatal(err)
	}
	return object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources": []any{object{
			"source": "forwarded", "user": []string{"X-Forwarded-User"}, "email": []string{"X-Forwarded-Email"},
			"groups": []string{"X-Forwarded-Groups"}, "groups_separator": ",",
		}},
		"injectors": []any{object{"injector": "impersonation", "token_file": token}},
	}
}

// serveOnce serves r and puts back what was stripped.
func serveOnce(h *testhandler.Handler, w http.ResponseWriter, r *http.Request, pristine http.Header, next caddyhttp.Handler) error {
	err := h.ServeHTTP(w, r, next)
	for name, values := range pristine {
		if _, ok := r.Header[name]; !ok {
			r.Header[name] = values
		}
	}
	return err
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func TestAForwardedIdentityCostsFewAllocations(t *testing.T) {
	testhandler.Quiet(t)
	h, r := testhandler.Load(t, forwardedToImpersonation(t)), testhandler.DashboardRequest()
	w, pristine := &discard{http.Header{}}, maps.Clone(r.Header)
	var upstream http.Header
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		upstream = r.Header
		return nil
	})
	allocs := testing.AllocsPerRun(1000, func() {
		if err := serveOnce(h, w, r, pristine, next); err != nil {
			t.Fatal(err)
		}
	})
	if got := upstream.Get("Impersonate-User"); got != "alice" {
		t.Fatalf("the upstream saw user %q", got)
	}
	if allocs > maxAllocs {
		t.Errorf("%.0f allocations, more than %d", allocs, maxAllocs)
	}
}

// BenchmarkServeHTTP measures the handler alone, with a stub behind it. The figure
// x-clone is the ratio to http.Header.Clone of the same request, measured in the same
// run; forwarded should have at most 5.
func BenchmarkServeHTTP(b *testing.B) {
	anonymous := object{
		"sources":   []any{object{"source": "anonymous"}},
		"injectors": []any{object{"injector": "impersonation", "no_credential": true}},
	}
	untrusted := forwardedToImpersonation(b)
	untrusted["trusted_proxies"] = object{"source": "static", "ranges": []string{"203.0.113.0/24"}}
	for _, bench := range []struct {
		name    string
		config  object
		refused bool
	}{
		{"forwarded", forwardedToImpersonation(b), false},
		{"anonymous", anonymous, false},
		{"refused", untrusted, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			testhandler.Quiet(b)
			h, r := testhandler.Load(b, bench.config), testhandler.DashboardRequest()
			w, pristine := &discard{http.Header{}}, maps.Clone(r.Header)
			clone := cloneTime(pristine)
			forwarded := false
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
				forwarded = true
				return nil
			})
			b.ReportAllocs()
			for b.Loop() {
				forwarded = false
				if err := serveOnce(h, w, r, pristine, next); forwarded == bench.refused {
					b.Fatalf("forwarded: %v, error %v", forwarded, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/clone, "x-clone")
		})
	}
}

// cloneTime returns how long one Clone takes, in nanoseconds. testing.Benchmark cannot
// run inside a benchmark.
func cloneTime(header http.Header) float64 {
	const rounds = 200_000
	start := time.Now()
	for range rounds {
		_ = header.Clone()
	}
	return float64(time.Since(start)) / rounds
}
