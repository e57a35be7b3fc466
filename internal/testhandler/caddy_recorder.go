// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// Recorder keeps the requests that reached an upstream. For a stand-in for a product it
// records the whole header and the host.
type Recorder struct {
	mu       sync.Mutex
	requests []Received
}

// Record records a request.
func (r *Recorder) Record(request *http.Request) {
	header := request.Header.Clone()
	header["Host"] = []string{request.Host}
	r.add(Received{Line: request.Method + " " + request.RequestURI, Header: header})
}

func (r *Recorder) add(request Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
}

// Take returns the requests since the last call.
func (r *Recorder) Take() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

// WantOnly asserts that exactly one request came, and compares its whole header.
func (r *Recorder) WantOnly(tb testing.TB, line string, header http.Header) {
	tb.Helper()
	requests := r.Take()
	if len(requests) != 1 {
		tb.Fatalf("%d requests reached the upstream, want 1: %+v", len(requests), requests)
	}
	if requests[0].Line != line {
		tb.Errorf("the upstream received %s, want %s", requests[0].Line, line)
	}
	got := requests[0].Header
	names := slices.Collect(maps.Keys(got))
	names = slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(header)))))
	for _, name := range names {
		if !slices.Equal(got[name], header[name]) {
			tb.Errorf("the upstream received %s: %q, want %q", name, got[name], header[name])
		}
	}
}

// WantNothing asserts that no request came.
func (r *Recorder) WantNothing(tb testing.TB) {
	tb.Helper()
	if requests := r.Take(); len(requests) > 0 {
		tb.Errorf("the upstream received %+v, want nothing", requests)
	}
}
