// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
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
	second.End()
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
	synctest.Test(t, func(t *testing.T) { // which ends only when all goroutines have ended
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
		}
		time.Sleep(15 * time.Second)
	})
}

// Caddy does not wait for the requests of the old configuration when a new one is there. One
// that waits for an answer about its certificate gets it: under strict it must not end in 503,
// nor under soft_fail pass with a revoked certificate.
func TestClientCertAsksOnForRequestsOfTheOldConfiguration(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice, revoked := ca.Leaf(t, testpki.Named(testpki.CommonName, "alice")), ca.Leaf(t, nil)
	asked, reload := make(chan struct{}, 2), make(chan struct{})
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			t.Error(err)
			return
		}
		asked <- struct{}{}
		<-reload
		status := ocsp.Good
		if question.SerialNumber.Cmp(revoked.Cert.SerialNumber) == 0 {
			status = ocsp.Revoked
		}
		answer, _ := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{
			Status: status, SerialNumber: question.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute),
			NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now().Add(-time.Hour),
		}, ca.Key)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	load := func(mode string) *testhandler.Handler {
		return testhandler.Load(t, clientCertConfig(testhandler.InlinePool(ca), object{
			"revocation": object{"mode": mode, "ocsp": object{"responder": responder.URL}},
		}))
	}
	strict, soft := load("strict"), load("soft_fail")
	var both sync.WaitGroup
	both.Go(func() { wantServed(t, strict, alice, "alice", 200) })
	both.Go(func() { wantServed(t, soft, revoked, "", 401) })
	<-asked
	<-asked
	strict.End()
	soft.End()
	close(reload)
	both.Wait()
}

// A path that is wrong would switch revocation off in soft_fail. A list that was good at load
// counts on when its file is gone, as the certificates of a watched pool do; the next load
// refuses.
func TestClientCertLoadsOnlyWithItsLists(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice, revoked := ca.Leaf(t, testpki.Named(testpki.CommonName, "alice")), ca.Leaf(t, nil)
	list := testpki.ListFile(t, "", ca, 1, revoked)
	config := clientCertConfig(testhandler.InlinePool(ca), object{"revocation": object{"mode": "soft_fail", "crl": []string{list}}})
	h := testhandler.Load(t, config)
	serves := func() {
		t.Helper()
		wantServed(t, h, alice, "alice", 200)
		wantServed(t, h, revoked, "", 401)
	}
	serves()
	for name, spoil := range map[string]func() error{
		"no such file":  func() error { return os.Remove(list) },
		"malformed crl": func() error { return os.WriteFile(list, []byte("-----BEGIN"), 0o600) },
		"regular file":  func() error { return errors.Join(os.RemoveAll(list), os.Mkdir(list, 0o700)) },
	} {
		if err := os.RemoveAll(list); err != nil {
			t.Fatal(err)
		}
		testpki.ListFile(t, list, ca, 1, revoked)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(filewatch.Interval + 100*time.Millisecond)
		for range 2 { // the second time the state knows the file
			if _, err := testhandler.TryLoad(t, config); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), list) {
				t.Errorf("%s: %v", name, err)
			}
		}
		serves()
	}
	if err := os.RemoveAll(list); err != nil {
		t.Fatal(err)
	}
	testpki.ListFile(t, list, ca, 2, alice)
	h = testhandler.Load(t, config)
	wantServed(t, h, alice, "", 401)
}
