// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// cached is an upstream whose pages any cache may keep.
func cached(conn net.Conn, _ *bufio.Reader, _ testhandler.Received) bool {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nCache-Control: public, max-age=3600\r\n\r\n")
	return err == nil
}

// The page after a login clears the count of logins in the binding. A cache that kept that page
// would give one binding to all browsers, whoever made it: their logins could be forged.
func TestABindingInAPageThatCachesMayKeep(t *testing.T) {
	s := newSiteWith(t, testhandler.NewUpstreamWith(t, cached), testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	page := w.open(w.login("/a"))
	if lines := page.header["Set-Cookie"]; len(lines) != 1 || !strings.HasPrefix(lines[0], "kube_login=") {
		t.Fatalf("status %d, cookies %q, want the binding alone", page.status, lines)
	}
	if got := page.header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("a page with a cookie has Cache-Control %q", got)
	}
	if got := w.open("/a").header.Get("Cache-Control"); got != "public, max-age=3600" {
		t.Errorf("the next page, without one, has %q", got)
	}
}
