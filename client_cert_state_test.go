// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// revocationGoroutines is how many goroutines of the package certauth run.
func revocationGoroutines() int {
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	return strings.Count(stacks.String(), "certauth.(*running).spawn")
}

// What is known of revocation is shared by all configurations with the same settings, the
// old and the new one of a reload; the last one that goes takes it with it.
func TestClientCertSharesItsStateUntilTheLastIsGone(t *testing.T) {
	loggingTo(t)
	ca := newCA(t, "ca")
	alice := ca.client(t, "alice")
	var asked atomic.Int64
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			return
		}
		answer, _ := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, ca.key)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	config := func(ttl string) map[string]any {
		return clientCertConfig(inlinePool(ca.cert), map[string]any{
			"cache_ttl": ttl, "revocation": map[string]any{"mode": "strict", "ocsp": map[string]any{"responder": responder.URL}},
		})
	}
	load := func(ttl string) (caddyhttp.MiddlewareHandler, func()) {
		t.Helper()
		h, end, err := provisioned(t, config(ttl))
		if err != nil {
			t.Fatal(err)
		}
		return h, end
	}
	wantAsked := func(n int64) {
		t.Helper()
		if got := asked.Load(); got != n {
			t.Fatalf("the responder was asked %d times, want %d", got, n)
		}
	}
	first, endFirst := load("1m")
	wantServed(t, first, alice, "alice", 200)
	wantAsked(1)
	second, endSecond := load("1m")
	endFirst() // the reload is over
	for range 2 {
		wantServed(t, second, alice, "alice", 200)
	}
	wantAsked(1)
	other, endOther := load("2m")
	wantServed(t, other, alice, "alice", 200)
	wantAsked(2)
	endOther()
	if revocationGoroutines() == 0 {
		t.Error("nothing runs for the second configuration")
	}
	endSecond()
	wantNoGoroutines(t)
	third, endThird := load("1m")
	wantServed(t, third, alice, "alice", 200)
	wantAsked(3)
	endThird()
	wantNoGoroutines(t)
}

func wantNoGoroutines(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); revocationGoroutines() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", revocationGoroutines())
		}
	}
}

// A configuration that is refused after its state was made leaves none of it.
func TestClientCertLeavesNothingWhenItDoesNotLoad(t *testing.T) {
	loggingTo(t)
	ca := newCA(t, "ca")
	revocation := map[string]any{"mode": "strict", "ocsp": map[string]any{"responder": "http://127.0.0.1:1"}}
	for name, options := range map[string]map[string]any{
		"a bad attribute":  {"username": []string{"nickname"}},
		"a bad encoding":   {"encoding": "hex"},
		"a bad responder":  {"revocation": map[string]any{"mode": "strict", "ocsp": map[string]any{"responder": "ftp://x"}}},
		"map_only, no map": {"map_only": true},
	} {
		if _, ok := options["revocation"]; !ok {
			options["revocation"] = revocation
		}
		if _, _, err := provisioned(t, clientCertConfig(inlinePool(ca.cert), options)); err == nil {
			t.Errorf("%s loads", name)
		}
		wantNoGoroutines(t)
	}
}
