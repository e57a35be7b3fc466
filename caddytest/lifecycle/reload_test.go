// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// configuration is the n-th: it marks its requests, and puts its own prefix before users and
// groups. If two configurations share something by mistake, the marks are mixed.
//
// The connections to the upstream are not kept: Caddy closes idle ones as soon as a
// configuration ends, while its last requests still run, and net/http then sometimes loses
// one of them ("CloseIdleConnections called") or keeps connections that come later.
func configuration(port, token, upstream string, n int) string {
	return fmt.Sprintf(`http://:%[1]s {
	kube_identity {
		trusted_proxies static %[2]s
		forwarded {
			user         X-Forwarded-User
			groups       X-Forwarded-Groups
			user_prefix  c%[3]d:
			group_prefix c%[3]d:
		}
		inject impersonation {
			token_file %[4]s
		}
		inject front_proxy
	}
	reverse_proxy %[5]s {
		header_up X-Config %[3]d
		transport http {
			keepalive off
		}
	}
}
`, port, testhandler.TrustedPeer, n, token, upstream)
}

// Two configurations run side by side during a reload: the old one finishes its requests
// while the new one takes its first. Neither may write the other's identities, no request
// may be lost, and nothing may be left over.
func TestReloadUnderLoad(t *testing.T) {
	const (
		clients = 64
		reloads = 20
	)
	var arrived [reloads + 1]atomic.Int64 // requests of each configuration
	upstream := testhandler.NewUpstreamWith(t, func(conn net.Conn, _ *bufio.Reader, r testhandler.Received) bool {
		if n, err := strconv.Atoi(r.Header.Get("X-Config")); err == nil && n < len(arrived) {
			arrived[n].Add(1)
		}
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	port, token := freeport.Ports(t, 1)[0], testhandler.TokenFile(t)
	c := testhandler.Start(t, "", configuration(port, token, upstream.Addr, 0))
	transport := &http.Transport{
		MaxIdleConnsPerHost: clients,
		DialContext:         (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(testhandler.TrustedPeer)}}).DialContext,
	}
	before := runtime.NumGoroutine()

	ctx, stop := context.WithCancel(t.Context())
	var (
		answered atomic.Int64
		running  sync.WaitGroup
	)
	for range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := requestAlice(context.WithoutCancel(ctx), transport, "http://127.0.0.1:"+port+"/"); err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := 1; n <= reloads; n++ {
		c.Reload(t, "", configuration(port, token, upstream.Addr, n))
		testhandler.WaitUntil(t, "the configuration has served requests", func() bool { return arrived[n].Load() >= clients || t.Failed() })
	}
	stop()
	running.Wait()
	transport.CloseIdleConnections()

	for _, line := range c.Log(t) {
		if line.Level == "error" {
			t.Errorf("in the log: %s", line.Raw)
		}
	}
	if n := checkConfigurations(t, upstream.Take()); n != int(answered.Load()) {
		t.Errorf("%d requests reached the upstream, and %d were answered", n, answered.Load())
	}
	testhandler.WaitUntil(t, fmt.Sprintf("no more than %d goroutines and a few remain", before), func() bool {
		return runtime.NumGoroutine() <= before+5
	})
}

// requestAlice sends a request of the trusted proxy for alice. If the connection ends before
// the first byte of an answer, the request is sent again, as browsers do: net/http closes a
// connection whose request comes while the server shuts down, before any handler sees it.
func requestAlice(ctx context.Context, transport *http.Transport, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header = http.Header{"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"dev"}, "Impersonate-User": {"admin"}}
	response, err := transport.RoundTrip(request)
	for again := 0; again < 10 && testhandler.Dropped(err); again++ {
		response, err = transport.RoundTrip(request)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// checkConfigurations compares the identity in every request with the configuration that
// sent it, and returns the number of requests.
func checkConfigurations(t *testing.T, received []testhandler.Received) int {
	t.Helper()
	wrong := 0
	for _, r := range received {
		n, err := strconv.Atoi(r.Header.Get("X-Config"))
		user, group := fmt.Sprintf("c%d:alice", n), fmt.Sprintf("c%d:dev", n)
		want := testhandler.And(testhandler.As(user, group), "X-Remote-User", user, "X-Remote-Group", group, "X-Config", strconv.Itoa(n))
		want["X-Forwarded-Host"] = r.Header["Host"] // the address, which is different in every test
		want["Host"] = r.Header["Host"]
		want["User-Agent"] = []string{"Go-http-client/1.1"}
		want["Connection"] = []string{"close"} // of the transport
		if err != nil || fmt.Sprint(r.Header) != fmt.Sprint(testhandler.Proxied(testhandler.TrustedPeer, want)) {
			if wrong++; wrong < 10 {
				t.Errorf("the upstream received\n%v\nwant\n%v", r.Header, testhandler.Proxied(testhandler.TrustedPeer, want))
			}
		}
	}
	return len(received)
}
