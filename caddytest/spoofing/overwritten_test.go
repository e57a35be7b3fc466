// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// knownFields are fields that Caddy, net/http or reverse_proxy could treat in their own way:
// those of HTTP's own specifications, of a connection, of a proxy and of a browser.
func knownFields() []string {
	return strings.Fields(`
		Accept Accept-Charset Accept-Datetime Accept-Encoding Accept-Language Accept-Ranges Age Allow Alt-Svc Alt-Used
		Authorization Baggage Cache-Control Cdn-Loop Close Connection Content-Disposition Content-Encoding
		Content-Language Content-Length Content-Location Content-Range Content-Type Cookie Cookie2 Date Dnt Early-Data
		Etag Expect Expires Forwarded From Host Http2-Settings Idempotency-Key If-Match If-Modified-Since
		If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified Link Location Max-Forwards Mime-Version
		Origin Pragma Priority Proxy-Authenticate Proxy-Authentication-Info Proxy-Authorization Proxy-Connection Proxy-Status
		Range Referer Retry-After Sec-Ch-Ua Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-Gpc
		Sec-Websocket-Accept Sec-Websocket-Extensions Sec-Websocket-Key Sec-Websocket-Protocol Sec-Websocket-Version
		Server Set-Cookie Te Traceparent Tracestate Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests
		User-Agent Vary Via Warning Www-Authenticate X-Accel-Redirect X-Client-Ip X-Correlation-Id X-Csrf-Token
		X-Forwarded X-Forwarded-By X-Forwarded-For X-Forwarded-Host X-Forwarded-Method X-Forwarded-Path
		X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Uri
		X-Frame-Options X-Http-Method-Override X-Idempotency-Key X-Original-Uri X-Real-Ip X-Request-Id X-Requested-With
		X-Scheme X-User`)
}

// The name that an injector writes is the name that the upstream reads, or the configuration
// does not load: reverse_proxy overwrites X-Forwarded-For with the peer's address, deletes the
// fields of one hop and appends to Via, so a name in one of these would become another name.
func TestAFieldOfANameArrivesAsWrittenOrDoesNotLoad(t *testing.T) {
	var routes strings.Builder
	var allowed, refused []string
	for _, field := range knownFields() {
		if identity.CheckIdentityField(field) != nil {
			refused = append(refused, field)
			continue
		}
		allowed = append(allowed, field)
		block := "handle /%[2]s/%[1]s {\n kube_identity {\n trusted_proxies static " + testhandler.TrustedPeer +
			"\n forwarded {\n user %[3]s\n }\n inject headers {\n user %[4]s\n }\n }\n reverse_proxy %%[1]s\n}\n"
		fmt.Fprintf(&routes, block, field, "written", "X-Forwarded-User", field)
		fmt.Fprintf(&routes, block, field, "read", field, "X-Written-User")
	}
	g := testhandler.Guard(t, "servers {\n trusted_proxies static "+testhandler.TrustedPeer+"\n}", "http://:0 {\n"+routes.String()+"}\n")
	for _, field := range allowed {
		for name, request := range overwrittenRequests() {
			t.Run(field+" in "+name, func(t *testing.T) {
				wantName(t, g, "/written/"+field, request, append([]string{"X-Forwarded-User: alice", field + ": mallory"}, request.fields...), field)
				wantName(t, g, "/read/"+field, request, append([]string{field + ": alice", "X-Written-User: mallory"}, request.fields...), "X-Written-User")
			})
		}
	}
	testhandler.Quiet(t)
	for _, field := range refused {
		for what, config := range map[string]testhandler.Object{
			"written": {"sources": []any{testhandler.Object{"source": "anonymous"}}, "injectors": []any{testhandler.Object{"injector": "headers", "user": field}}},
			"read": {
				"trusted_proxies": testhandler.Object{"source": "static", "ranges": []string{"192.0.2.7"}},
				"sources":         []any{testhandler.Object{"source": "forwarded", "user": []string{field}}},
				"injectors":       []any{testhandler.Object{"injector": "front_proxy"}},
			},
		} {
			if _, err := testhandler.TryLoad(t, config); err == nil {
				t.Errorf("a name may be %s in %s", what, field)
			}
		}
	}
}

type overwrittenRequest struct {
	method, body string
	fields       []string
}

// overwrittenRequests are requests for which reverse_proxy and net/http write different fields.
func overwrittenRequests() map[string]overwrittenRequest {
	return map[string]overwrittenRequest{
		"a plain request": {method: "GET"},
		"a request of a proxy's": {
			method: "GET", fields: []string{"Via: 1.1 front", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Host: other.example", "X-Forwarded-Proto: https"},
		},
		"a body": {method: "POST", body: "abc", fields: []string{"Content-Length: 3"}},
		"a body in chunks, with trailers": {
			method: "POST", body: "3\r\nabc\r\n0\r\nX-User: mallory\r\n\r\n", fields: []string{"Transfer-Encoding: chunked", "Trailer: X-User", "TE: trailers"},
		},
		"a websocket": {method: "GET", fields: []string{
			"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		}},
	}
}

// wantName sends a request, and wants alice and nothing else in one field at the upstream.
func wantName(t *testing.T, g *testhandler.Guarded, path string, r overwrittenRequest, fields []string, want string) {
	t.Helper()
	conn := g.Dial(t, testhandler.TrustedPeer)
	defer conn.Close()
	testhandler.WriteRequest(t, conn, r.method+" "+path+" HTTP/1.1", fields, r.body)
	var received []testhandler.Received
	testhandler.WaitUntil(t, "the upstream has received it", func() bool {
		received = append(received, g.Upstream.Take()...)
		return len(received) > 0
	})
	var lines []string
	for name, values := range received[0].Header {
		if http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey(want) {
			lines = append(lines, values...)
		}
	}
	if len(received) != 1 || !slices.Equal(lines, []string{"alice"}) {
		t.Errorf("of %q the upstream received\n%+v", fields, received)
	}
}
