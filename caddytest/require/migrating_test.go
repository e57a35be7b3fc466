// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package require_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// verify is an authentication service as users of auth-url have one: it knows a cookie, and
// answers a browser that has none with a redirect to its own page.
func verify(conn net.Conn, _ *bufio.Reader, request testhandler.Received) bool {
	answer := "302 Found\r\nLocation: https://login.example.com/?rd=x"
	switch request.Header.Get("Cookie") {
	case "user=alice":
		answer = "200 OK\r\nX-Auth-Request-User: alice\r\nX-Auth-Request-Groups: dev,ops"
	case "user=bob":
		answer = "204 No Content\r\nX-Auth-Request-User: bob"
	case "user=nobody":
		answer = "200 OK"
	case "user=mallory":
		answer = "403 Forbidden\r\nX-Auth-Request-User: mallory"
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", answer)
	return err == nil
}

// The block of docs/migrating/ingress-nginx.md for those who keep their authentication service. The
// client writes everything that the service would.
func TestAnAuthenticationServiceOfAuthURLIsAskedByCaddy(t *testing.T) {
	page, err := os.ReadFile("../../docs/migrating/ingress-nginx.md")
	if err != nil {
		t.Fatal(err)
	}
	_, site, found := strings.Cut(string(page), "dashboard.example.com {\n\tforward_auth ")
	site, _, ended := strings.Cut(site, "\n```")
	if !found || !ended {
		t.Fatal("the page has no block with forward_auth")
	}
	service := testhandler.NewUpstreamWith(t, verify)
	site = "http://:0 {\n\tforward_auth " + strings.NewReplacer("auth.default.svc:8080", service.Addr, "dashboard.default.svc:80", "%[1]s").Replace(site)
	g := testhandler.Guard(t, "", site)
	forged := []string{"X-Auth-Request-User: admin", "X-Auth-Request-Groups: system:masters", "X-Forwarded-User: admin", "X_Forwarded_Groups: x", "Authorization: Bearer x"}
	ask := func(cookie string) []string { return append([]string{"Cookie: user=" + cookie}, forged...) }
	alice := http.Header{"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"dev,ops"}, "Cookie": {"user=alice"}}
	g.Run(t, []testhandler.Exchange{
		{Name: "a user", Fields: ask("alice"), Want: alice},
		{Name: "by another method", Line: "POST / HTTP/1.1", Fields: append(ask("alice"), "Content-Length: 0"), Want: testhandler.And(alice, "Content-Length", "0")},
		{Name: "a user without groups", Fields: ask("bob"), Want: http.Header{"X-Forwarded-User": {"bob"}, "Cookie": {"user=bob"}}},
		{Name: "a user whom the service refuses", Fields: ask("mallory"), Status: http.StatusForbidden},
		{Name: "no user is sent to the service's page", Fields: forged, Status: http.StatusFound},
		{Name: "a yes without a user", Fields: ask("nobody"), Status: http.StatusUnauthorized, Reason: testhandler.NoCredential},
		{Name: "an attempt to climb out", Line: "GET /verify/../x HTTP/1.1", Fields: forged, Status: http.StatusFound},
	})
}

// Whom a requirement refuses is in the handler's log, in the audit and in the metric, with all groups
// that the source found.
func TestARefusalByGroupSaysWhoItWas(t *testing.T) {
	g := testhandler.Guard(t, "metrics", `http://:0 {
	handle /metrics {
		metrics
	}
	handle {
		kube_identity {
			trusted_proxies static `+testhandler.TrustedPeer+`
			forwarded {
				user X-User
				groups X-Groups
			}
			require_groups ops
			allow_groups view
			inject headers {
				user X-User
			}
		}
		reverse_proxy %[1]s
	}
}
`)
	g.Exchange(t, &testhandler.Exchange{Fields: []string{"X-User: alice", "X-Groups: dev", "X-Groups: view"}, Status: 403, Reason: notInGroup})
	lines := make(map[string]int)
	for _, line := range g.Log(t) {
		if line.Message == "refused" && strings.Contains(line.Raw, `"user":"alice","groups":["dev","view"]`) && line.Reason == notInGroup && line.Status == 403 {
			lines[line.Logger]++
		}
	}
	if lines["http.handlers.kube_identity"] != 1 || lines["http.handlers.kube_identity.audit"] != 1 {
		t.Errorf("the lines are %v in\n%s", lines, g.LogText(t))
	}
	metrics := g.Send(t, testhandler.StrangerPeer, "GET /metrics HTTP/1.1", nil, "").Text
	if !strings.Contains(metrics, `caddy_kube_identity_requests_total{result="forbidden",source="forwarded"} 1`) {
		t.Errorf("the metrics are\n%s", metrics)
	}
}
