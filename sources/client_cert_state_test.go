// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// All configurations with the same settings share the state of revocation, such as the old and
// the new one of a reload. The state ends with the last of them.
func TestClientCertSharesItsStateUntilTheLastIsGone(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice := ca.Leaf(t, testpki.Named(testpki.CommonName, "alice"))
	var asked atomic.Int64
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			return
		}
		answer, _ := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, ca.Key)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	config := func(ttl string) object {
		return clientCertConfig(testhandler.InlinePool(ca), object{
			"cache_ttl": ttl, "revocation": object{"mode": "strict", "ocsp": object{"responder": responder.URL}},
		})
	}
	load := func(ttl string) *testhandler.Handler {
		t.Helper()
		return testhandler.Load(t, config(ttl))
	}
	wantAsked := func(n int64) {
		t.Helper()
		if got := asked.Load(); got != n {
			t.Fatalf("the responder was asked %d times, want %d", got, n)
		}
	}
	first := load("1m")
	wantServed(t, first, alice, "alice", 200)
	wantAsked(1)
	second := load("1m")
	first.End() // the reload is over
	for range 2 {
		wantServed(t, second, alice, "alice", 200)
	}
	wantAsked(1)
	other := load("2m")
	wantServed(t, other, alice, "alice", 200)
	wantAsked(2)
	other.End()
	if revocationGoroutines() == 0 {
		t.Error("nothing runs for the second configuration")
	}
	second.End()
	wantNoGoroutines(t)
	third := load("1m")
	wantServed(t, third, alice, "alice", 200)
	wantAsked(3)
	third.End()
	wantNoGoroutines(t)
}

// revocationGoroutines returns the number of goroutines of package certauth.
func revocationGoroutines() int { return testhandler.Goroutines("certauth.(*running).spawn") }

func wantNoGoroutines(t *testing.T) {
	t.Helper()
	testhandler.WaitUntil(t, "no goroutine is left", func() bool { return revocationGoroutines() == 0 })
}

// A configuration that is refused after its state was made leaves no state behind.
func TestClientCertLeavesNothingWhenItDoesNotLoad(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "ca", nil)
	revocation := object{"mode": "strict", "ocsp": object{"responder": "http://127.0.0.1:1"}}
	for name, options := range map[string]object{
		"a bad attribute":  {"username": []string{"nickname"}},
		"a bad encoding":   {"encoding": "hex"},
		"a bad responder":  {"revocation": object{"mode": "strict", "ocsp": object{"responder": "ftp://x"}}},
		"map_only, no map": {"map_only": true},
	} {
		if _, ok := options["revocation"]; !ok {
			options["revocation"] = revocation
		}
		if _, err := testhandler.TryLoad(t, clientCertConfig(testhandler.InlinePool(ca), options)); err == nil {
			t.Errorf("%s loads", name)
		}
		wantNoGoroutines(t)
	}
}
