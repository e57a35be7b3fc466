// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A response that is slow to begin must not put the refresh token that its request got over the
// one that has replaced it meanwhile: a strict issuer ends the session of a token that comes again.
func TestASlowResponseBringsNoSpentTokens(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	upstream := testhandler.NewUpstreamWith(t, func(conn net.Conn, _ *bufio.Reader, received testhandler.Received) bool {
		if strings.HasPrefix(received.Line, "GET /slow ") {
			asked <- struct{}{}
			<-answer
		}
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	s := newSiteWith(t, upstream, alwaysDue(), siteOptions{})
	w := s.window(t)
	w.login("/")
	slow := make(chan reply)
	go func() { slow <- w.fetch("/slow") }() // refreshes
	<-asked
	w.fetch("/a") // brings the result of that
	s.tokensLast()
	w.fetch("/b") // refreshes again
	if n := s.issuer.Refreshes.Load(); n != 2 {
		t.Fatalf("%d refreshes", n)
	}
	close(answer)
	if late := <-slow; late.status != http.StatusOK || len(late.header["Set-Cookie"]) == 0 {
		t.Fatalf("the slow response: status %d, cookies %q", late.status, late.header["Set-Cookie"])
	}
	if got := w.fetch("/c"); got.status != http.StatusOK || len(got.header["Set-Cookie"]) > 0 {
		t.Errorf("status %d, cookies %q: the browser had tokens that were replaced", got.status, got.header["Set-Cookie"])
	}
}
