// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-kube-identity/caddy-kube-identity"
)

// maxAllocs is how many allocations a request may cost in the handler.
const maxAllocs = 25

// handler provisions the handler from JSON, as Caddy does.
func handler(tb testing.TB, config map[string]any) caddyhttp.MiddlewareHandler {
	tb.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	quiet := `{"admin": {"disabled": true}, "logging": {"logs": {"default": {"writer": {"output": "discard"}}}}}`
	if err := caddy.Load([]byte(quiet), true); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	tb.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err != nil {
		tb.Fatal(err)
	}
	return module.(caddyhttp.MiddlewareHandler)
}

// forwardedToImpersonation is the configuration of the usual case, with a token file.
func forwardedToImpersonation(tb testing.TB) map[string]any {
	tb.Helper()
	token := filepath.Join(tb.TempDir(), "token")
	if err := os.WriteFile(token, []byte("eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	old := time.Now().Add(-time.Hour) // a file that was written just now is read each time
	if err := os.Chtimes(token, old, old); err != nil {
		tb.Fatal(err)
	}
	return map[string]any{
		"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources": []any{map[string]any{
			"source": "forwarded", "user": []string{"X-Forwarded-User"}, "email": []string{"X-Forwarded-Email"},
			"groups": []string{"X-Forwarded-Groups"}, "groups_separator": ",",
		}},
		"injectors": []any{map[string]any{"injector": "impersonation", "token_file": token}},
	}
}

// browserRequest is what a dashboard's page sends through oauth2-proxy.
func browserRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://dashboard.example.com/api/v1/namespaces?limit=500", http.NoBody)
	r.TLS = nil
	r.RemoteAddr = "192.0.2.7:4711"
	for name, value := range map[string]string{
		"Accept":             "application/json, text/plain, */*",
		"Accept-Encoding":    "gzip, deflate, br, zstd",
		"Accept-Language":    "en-GB,en;q=0.9,de;q=0.8",
		"Cookie":             "_oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVTMDFPR1k1WXpSaU5nLi4u; theme=dark",
		"Referer":            "https://dashboard.example.com/overview",
		"Sec-Ch-Ua":          `"Chromium";v="142", "Not.A/Brand";v="24"`,
		"Sec-Ch-Ua-Platform": `"Linux"`,
		"Sec-Fetch-Dest":     "empty",
		"Sec-Fetch-Mode":     "cors",
		"Sec-Fetch-Site":     "same-origin",
		"User-Agent":         "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"X-Forwarded-Email":  "alice@example.com",
		"X-Forwarded-For":    "198.51.100.23",
		"X-Forwarded-Groups": "developers,on-call,cluster-viewers",
		"X-Forwarded-Host":   "dashboard.example.com",
		"X-Forwarded-Proto":  "https",
		"X-Forwarded-User":   "alice",
	} {
		r.Header.Set(name, value)
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
}

// serveOnce serves r and puts back what was taken off it.
func serveOnce(h caddyhttp.MiddlewareHandler, w http.ResponseWriter, r *http.Request, pristine http.Header, next caddyhttp.Handler) error {
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

func nothing(http.ResponseWriter, *http.Request) error { return nil }

func TestAForwardedIdentityCostsFewAllocations(t *testing.T) {
	h, r := handler(t, forwardedToImpersonation(t)), browserRequest()
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
// run; at most 5 is wanted of forwarded.
func BenchmarkServeHTTP(b *testing.B) {
	anonymous := map[string]any{
		"sources":   []any{map[string]any{"source": "anonymous"}},
		"injectors": []any{map[string]any{"injector": "impersonation", "no_credential": true}},
	}
	untrusted := forwardedToImpersonation(b)
	untrusted["trusted_proxies"] = map[string]any{"source": "static", "ranges": []string{"203.0.113.0/24"}}
	for _, bench := range []struct {
		name    string
		config  map[string]any
		refused bool
	}{
		{"forwarded", forwardedToImpersonation(b), false},
		{"anonymous", anonymous, false},
		{"refused", untrusted, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h, r := handler(b, bench.config), browserRequest()
			w, pristine := &discard{http.Header{}}, maps.Clone(r.Header)
			clone := cloneTime(pristine)
			b.ReportAllocs()
			for b.Loop() {
				if err := serveOnce(h, w, r, pristine, caddyhttp.HandlerFunc(nothing)); (err != nil) != bench.refused {
					b.Fatal(err)
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
