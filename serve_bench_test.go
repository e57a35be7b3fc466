// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// toImpersonation is a configuration with this source, which is injected as impersonation with
// a token file.
func toImpersonation(tb testing.TB, source object) object {
	tb.Helper()
	token := filepath.Join(tb.TempDir(), "token")
	testhandler.Write(tb, token, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n")
	old := time.Now().Add(-time.Hour) // a file that was written just now is read each time
	if err := os.Chtimes(token, old, old); err != nil {
		tb.Fatal(err)
	}
	return object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{source},
		"injectors":       []any{object{"injector": "impersonation", "token_file": token}},
	}
}

func forwarded() object {
	return object{
		"source": "forwarded", "user": []string{"X-Forwarded-User"}, "email": []string{"X-Forwarded-Email"},
		"groups": []string{"X-Forwarded-Groups"}, "groups_separator": ",",
	}
}

// usual is one of the usual configurations, with a request for it. allocs is how many
// allocations the request may cost in the handler, with a verdict that is known.
type usual struct {
	name   string
	config object
	lines  []string // of the request, besides those of a dashboard
	allocs int
}

func usuals(tb testing.TB) []usual {
	tb.Helper()
	issuer, cluster := testissuer.New(tb), testreview.New(tb)
	groups := []string{"dev", "ops", "on-call", "viewers", "team-blue"}
	token := issuer.Token(tb, map[string]any{"groups": groups})
	reviewed := cluster.Login(testreview.User{Username: "alice", Groups: groups})
	authority := testpki.NewCA(tb, nil, "clients", testpki.AnyTime)
	leaf := authority.Leaf(tb, testpki.Named(testpki.CommonName, "alice"))
	review := toImpersonation(tb, object{"source": "token_review"})
	review["kubernetes"] = testhandler.Kubernetes(tb, cluster, nil)
	return []usual{
		{"forwarded", toImpersonation(tb, forwarded()), nil, 9},
		{"oidc", toImpersonation(tb, testhandler.OIDC(issuer, object{"groups_claim": "groups"})), []string{testhandler.Bearer(token)}, 10},
		{"token_review", review, []string{testhandler.Bearer(reviewed)}, 10},
		{"client_cert", toImpersonation(tb, object{
			"source": "client_cert", "header": "X-Client-Cert", "encoding": "url_pem", "trust_pool": testhandler.InlinePool(authority),
		}), []string{"X-Client-Cert: " + testpki.EscapedPEM(leaf)}, 10},
		{"anonymous", object{
			"sources":   []any{object{"source": "anonymous"}},
			"injectors": []any{object{"injector": "impersonation", "no_credential": true}},
		}, nil, 7},
	}
}

// repeated is a request that is served many times by one handler.
type repeated struct {
	handler  *testhandler.Handler
	request  *http.Request
	pristine http.Header
	replacer caddy.Replacer // before the first time, with room for one more provider, as behind a server
	w        *discard
	next     caddyhttp.Handler
	upstream http.Header // of the last time; nil if it was refused
}

func newRepeated(tb testing.TB, config object, lines []string) *repeated {
	tb.Helper()
	testhandler.Quiet(tb)
	r := &repeated{handler: testhandler.Load(tb, config), request: testhandler.DashboardRequest(), w: &discard{http.Header{}}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.request.Header.Set(name, value)
	}
	r.pristine = maps.Clone(r.request.Header)
	r.replacer = *replacerOf(r.request)
	r.next = caddyhttp.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) error {
		r.upstream = inner.Header
		return nil
	})
	r.serve(tb, true) // from then on verdicts are known
	return r
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// serve serves the request and puts back what was stripped.
func (r *repeated) serve(tb testing.TB, forwarded bool) {
	tb.Helper()
	*replacerOf(r.request) = r.replacer
	r.upstream = nil
	err := r.handler.ServeHTTP(r.w, r.request, r.next)
	for name, values := range r.pristine {
		if _, ok := r.request.Header[name]; !ok {
			r.request.Header[name] = values
		}
	}
	if (err == nil && r.upstream != nil) != forwarded {
		tb.Fatalf("forwarded: %v, error %v", !forwarded, err)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func TestARequestWithAKnownVerdictCostsFewAllocations(t *testing.T) {
	for _, test := range usuals(t) {
		t.Run(test.name, func(t *testing.T) {
			r := newRepeated(t, test.config, test.lines)
			// The race detector has each sync.Pool throw every fourth value away: a quarter of
			// the runs find all that they need.
			runs := make([]float64, 99)
			for n := range runs {
				runs[n] = testing.AllocsPerRun(1, func() { r.serve(t, true) })
			}
			slices.Sort(runs)
			if allocs := int(runs[len(runs)/4]); allocs > test.allocs {
				t.Errorf("%d allocations, more than %d", allocs, test.allocs)
			}
			if got := r.upstream.Get("Impersonate-User"); got == "" {
				t.Errorf("the upstream saw no user in %v", r.upstream)
			}
		})
	}
}

// BenchmarkServeHTTP measures the handler alone, with a stub behind it, for verdicts that are
// known. The figure x-clone is the ratio to http.Header.Clone of the same request, measured in
// the same run; forwarded should have at most 5.
func BenchmarkServeHTTP(b *testing.B) {
	untrusted := toImpersonation(b, forwarded())
	untrusted["trusted_proxies"] = object{"source": "static", "ranges": []string{"203.0.113.0/24"}}
	for _, bench := range usuals(b) {
		b.Run(bench.name, func(b *testing.B) { benchmarkServe(b, newRepeated(b, bench.config, bench.lines), true) })
	}
	b.Run("refused", func(b *testing.B) {
		r := newRepeated(b, toImpersonation(b, forwarded()), nil)
		r.handler = testhandler.Load(b, untrusted)
		benchmarkServe(b, r, false)
	})
}

func benchmarkServe(b *testing.B, r *repeated, forwarded bool) {
	b.Helper()
	clone := cloneTime(r.pristine)
	b.ReportAllocs()
	for b.Loop() {
		r.serve(b, forwarded)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/clone, "x-clone")
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
