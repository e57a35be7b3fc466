// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// reloadedOften is how often a configuration is loaded again under load.
const reloadedOften = 250

// GitOps reloads on every change, and a reload must cost neither a request nor a question to
// the issuer or the API server: upstreams such as Kiali keep a client for each token of the
// proxy that they see, and API servers count questions.
func TestTokenReloadsUnderLoad(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes, oidc := api.Kubeconfig(t), oidcBlock(t, issuer)
	port, upstream := freeport.Ports(t, 1)[0], testhandler.NewUpstream(t)
	site := func(n int) string {
		account := "inject impersonation {\n service_account kube-system/caddy\n}"
		return fmt.Sprintf("http://:"+port+" {\n"+
			tokenBlock("oidc", kubernetes, oidc, account)+
			tokenBlock("review", kubernetes, "token_review {\n cache_ttl 1h\n}", account)+
			"\treverse_proxy %s {\n\t\theader_up X-Config %d\n\t\ttransport http {\n\t\t\tkeepalive off\n\t\t}\n\t}\n}\n", upstream.Addr, n)
	}
	c := testhandler.Start(t, "", site(0))
	t.Cleanup(func() { checkLog(t, c) })
	g := &guarded{&testhandler.Guarded{Caddy: c}}
	jwt, opaque := issuer.Token(t, nil), api.Login(carol())
	account := func(user string, groups ...string) http.Header {
		return http.Header{"Authorization": {"Bearer " + api.LastToken()}, "Impersonate-User": {user}, "Impersonate-Group": groups}
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4,
		DialContext:         (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(testhandler.TrustedPeer)}}).DialContext,
	}
	defer transport.CloseIdleConnections()
	base := "http://127.0.0.1:" + port
	for _, path := range []string{"/oidc", "/review"} { // the questions that are asked once are asked here
		token := map[string]string{"/oidc": jwt, "/review": opaque}[path]
		if err := requestWith(t.Context(), transport, base+path, token); err != nil {
			t.Fatal(err, g.Refusals(t))
		}
	}
	upstream.Take()
	want := map[string]string{
		"GET /oidc HTTP/1.1":   fmt.Sprint(account("oidc:alice", "oidc:dev", "oidc:ops")),
		"GET /review HTTP/1.1": fmt.Sprint(account("carol", "dev")),
	}

	ctx, stop := context.WithCancel(t.Context())
	var answered atomic.Int64
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				path, token := "/oidc", jwt
				if i%2 == 0 {
					path, token = "/review", opaque
				}
				if err := requestWith(context.WithoutCancel(ctx), transport, base+path, token); err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				answered.Add(1)
				time.Sleep(5 * time.Millisecond) // this test is about reloads
			}
		})
	}
	var received, goroutines int
	start := time.Now()
	for n := 1; n <= reloadedOften && !t.Failed(); n++ {
		c.Reload(t, "", site(n))
		received += checkAccount(t, upstream.Take(), want)
		if n == reloadedOften/5 {
			goroutines = runtime.NumGoroutine()
		}
	}
	t.Logf("%d reloads in %v, %d requests", reloadedOften, time.Since(start), answered.Load())
	testhandler.WaitUntil(t, fmt.Sprintf("no more than %d goroutines and a few remain", goroutines), func() bool {
		return runtime.NumGoroutine() <= goroutines+10
	})
	stop()
	running.Wait()
	received += checkAccount(t, upstream.Take(), want)
	if received != int(answered.Load()) {
		t.Errorf("%d requests reached the upstream, and %d were answered", received, answered.Load())
	}
	if refusals := g.Refusals(t); len(refusals) > 0 {
		t.Errorf("%d requests were refused, such as: %+v", len(refusals), refusals[0])
	}
	reviews, requests := api.Calls()
	if len(reviews) != 1 || len(requests) != 1 {
		t.Errorf("the API server was asked about %d tokens, and for %d of its own", len(reviews), len(requests))
	}
	wantFetches(t, issuer, 1, "after all reloads")
}

// requestWith sends a request with a token. If the connection ends before the first byte of
// an answer, the request is sent again, as in TestReloadUnderLoad.
func requestWith(ctx context.Context, transport *http.Transport, url, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header = http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {"admin"}}
	response, err := transport.RoundTrip(request)
	for again := 0; again < 10 && testhandler.Dropped(err); again++ {
		response, err = transport.RoundTrip(request)
	}
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// checkAccount compares the requests that arrived, without the fields that reverse_proxy and
// the client's library write, and returns their number.
func checkAccount(t *testing.T, received []testhandler.Received, want map[string]string) int {
	t.Helper()
	for _, r := range received {
		header := r.Header.Clone()
		for name := range header {
			if strings.HasPrefix(name, "X-Forwarded-") {
				delete(header, name)
			}
		}
		for _, name := range []string{"Host", "Accept-Encoding", "Via", "User-Agent", "Connection", "X-Config"} {
			delete(header, name)
		}
		if got := fmt.Sprint(header); got != want[r.Line] {
			t.Errorf("the upstream received\n%s\nwant\n%s", got, want[r.Line])
		}
	}
	return len(received)
}
