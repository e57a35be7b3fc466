// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

type object = testhandler.Object

func TestMain(m *testing.M) { testhandler.Main(m) }

// api is an API server with one Service, ingress/front. A change of it reaches all watches.
type api struct {
	*httptest.Server

	mu      sync.Mutex
	changed chan struct{} // closed by the next change
	addrs   []string
	status  int // instead of an answer, unless it is 0
	asked   int
	open    int // watches
}

func newAPI(tb testing.TB, addrs ...string) *api {
	tb.Helper()
	a := &api{addrs: addrs, changed: make(chan struct{})}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.StartTLS()
	tb.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// set makes these the endpoints.
func (a *api) set(addrs ...string) { a.change(func() { a.addrs = addrs }) }

// fail makes the API server answer with a status, and ends all watches.
func (a *api) fail(status int) {
	a.change(func() { a.status = status })
	if status != 0 {
		a.CloseClientConnections()
	}
}

func (a *api) change(how func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	how()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *api) counts() (asked, open int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked, a.open
}

func (a *api) now() (frame string, status int, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for _, addr := range a.addrs {
		list = append(list, fmt.Sprintf(`{"addresses":[%q],"conditions":{"ready":true}}`, addr))
	}
	return `{"type":"MODIFIED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"front-1","namespace":"ingress",` +
		`"labels":{"kubernetes.io/service-name":"front"}},"addressType":"IPv4","endpoints":[` + strings.Join(list, ",") + "]}}\n", a.status, a.changed
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked++
	a.open++
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
	}()
	frame, status, changed := a.now()
	if r.Header.Get("Authorization") != "Bearer own" {
		status = http.StatusUnauthorized
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	_, _ = io.WriteString(w, frame+`{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",`+
		`"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
			if frame, status, changed = a.now(); status == 0 {
				_, _ = io.WriteString(w, frame)
			}
		}
	}
}

func (a *api) kubeconfig(tb testing.TB) string {
	tb.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	content, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "here",
		"clusters": []any{object{"name": "c", "cluster": object{"server": a.URL, "certificate-authority-data": base64.StdEncoding.EncodeToString(ca)}}},
		"users":    []any{object{"name": "u", "user": object{"token": "own"}}},
		"contexts": []any{object{"name": "here", "context": object{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "config")
	testhandler.Write(tb, file, string(content))
	return file
}

// guarded is a handler that believes forwarded fields from the endpoints.
func guarded(kubeconfig string, more object) object {
	config := object{
		"trusted_proxies": object{"source": "kubernetes_service", "service": "ingress/front", "host_ip": []string{"192.0.2.200"}},
		"kubernetes":      object{"kubeconfig": kubeconfig},
		"sources":         []any{object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}},
		"injectors":       testhandler.UserInjector(),
	}
	maps.Copy(config, more)
	return config
}

// from sends alice's request from an address.
func from(tb testing.TB, h *testhandler.Handler, addr string, lines ...string) testhandler.Answer {
	tb.Helper()
	r := testhandler.Request(append([]string{"X-Forwarded-User: alice"}, lines...)...)
	r.RemoteAddr = addr
	if !strings.HasSuffix(addr, "]") && strings.Count(addr, ":") == 0 {
		r.RemoteAddr += ":1234"
	}
	return h.Ask(tb, r)
}

// want waits until a request has a status, and compares what the upstream received.
func want(tb testing.TB, h *testhandler.Handler, addr string, status int) {
	tb.Helper()
	var a testhandler.Answer
	testhandler.WaitUntil(tb, fmt.Sprintf("%s gets %d", addr, status), func() bool {
		a = from(tb, h, addr)
		return a.Status == status
	})
	user := map[int]string{http.StatusOK: "alice"}[status]
	if got := a.Upstream.Get("X-User"); got != user || (a.Upstream != nil) != (status == http.StatusOK) {
		tb.Errorf("%s: the upstream received %v", addr, a.Upstream)
	}
}
