// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// CVE-2026-71324 (Traefik), CVE-2018-1002105 (kube-apiserver): CONNECT goes upstream
// with the injected credential, and an upgrade that nobody needs is a raw tunnel to the
// upstream in which a client sends what this handler never sees.
func TestShapesThatAreRefused(t *testing.T) {
	upgrade := func(value string) []string {
		return aliceAnd("Connection: Upgrade", "Upgrade: "+value, "Impersonate-User: admin", "Authorization: Bearer mine")
	}
	cases := []exchange{
		{name: "CONNECT to the host", line: "CONNECT " + siteHost + ":80 HTTP/1.1", fields: aliceAnd(), status: 405, reason: "method not allowed: CONNECT"},
		{name: "CONNECT to a path", line: "CONNECT / HTTP/1.1", fields: aliceAnd(), status: 405, reason: "method not allowed: CONNECT"},
		{
			name: "CONNECT that says it is a websocket", line: "CONNECT / HTTP/1.1",
			fields: append(upgrade("websocket"), "Protocol: websocket"), status: 405, reason: "method not allowed: CONNECT",
		},
		{name: "TRACE", line: "TRACE / HTTP/1.1", fields: aliceAnd(), status: 405, reason: "method not allowed: TRACE"},
		{
			name: "two lines of Upgrade", fields: aliceAnd("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
			status: 400, reason: "malformed: 2 lines of Upgrade",
		},
		{
			name: "two lines of Upgrade that agree", fields: aliceAnd("Connection: Upgrade", "Upgrade: websocket", "upgrade: websocket"),
			status: 400, reason: "malformed: 2 lines of Upgrade",
		},
		{
			name: "an upgrade without Connection", fields: aliceAnd("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
			status: 400, reason: `malformed: upgrade to "h2c"`,
		},
	}
	for _, value := range []string{
		"h2c", "H2C", "webſocket", "websocket, h2c", "h2c, websocket", "websocket/13", "TLS/1.0", "HTTP/2.0", "SPDY/3", "SPDY/3.10",
		"connect-udp", "", `"websocket"`, "spdy/3.1,websocket",
	} {
		reason := `malformed: upgrade to "` + strings.ReplaceAll(value, `"`, `\"`) + `"`
		cases = append(cases, exchange{name: "upgrade to " + value, fields: upgrade(value), status: 400, reason: reason})
	}
	guard(t, "", impersonating(t, "anonymous {\non_failure\n}")).run(t, cases)
}

// upgraded are the fields of a request that goes on as an upgrade.
func upgraded(header http.Header, protocol string, more ...string) http.Header {
	return and(header, append([]string{"Connection", "Upgrade", "Upgrade", protocol}, more...)...)
}

func TestUpgradesThatGoOn(t *testing.T) {
	cases := []exchange{
		{name: "websocket", fields: []string{"Connection: Upgrade", "Upgrade: websocket"}, want: upgraded(as("alice"), "websocket")},
		{name: "in any case", fields: []string{"connection: uPGRADE", "upgrade: WebSocket"}, want: upgraded(as("alice"), "websocket")},
		{name: "SPDY/3.1", fields: []string{"Connection: Upgrade", "Upgrade: SPDY/3.1"}, want: upgraded(as("alice"), "spdy/3.1")},
		{
			name: "Connection names more", fields: []string{"Connection: keep-alive, Impersonate-User", "Connection: Authorization , Upgrade", "Upgrade: websocket"},
			want: upgraded(as("alice"), "websocket"),
		},
		{
			name: "with a handshake", fields: []string{
				"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
				"Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io",
			},
			want: upgraded(as("alice"), "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
				"Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
		},
		{
			name: "Upgrade without Connection means nothing", fields: []string{"Upgrade: websocket", "Connection: Impersonate-User"},
			want: as("alice"), status: http.StatusOK,
		},
	}
	for i := range cases {
		cases[i].fields = aliceAnd(cases[i].fields...)
		if cases[i].status == 0 {
			cases[i].status = http.StatusSwitchingProtocols
		}
	}
	guard(t, "", impersonating(t, "")).run(t, cases)
}

// A browser cannot set Authorization on a websocket, so the API server takes a bearer
// token as a subprotocol, when Authorization did not decide: a second way in.
func TestBearerSubprotocols(t *testing.T) {
	token := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("mine"))
	const field = "Sec-WebSocket-Protocol"
	keep := func(rest ...string) http.Header {
		header := upgraded(as("alice"), "websocket")
		if len(rest) > 0 {
			header[field] = rest
		}
		return header
	}
	cases := []exchange{
		{name: "before another", fields: []string{field + ": " + token + ", v4.channel.k8s.io"}, want: keep("v4.channel.k8s.io")},
		{name: "after another", fields: []string{field + ": v4.channel.k8s.io," + token}, want: keep("v4.channel.k8s.io")},
		{name: "alone", fields: []string{field + ": " + token}, want: keep()},
		{name: "between others", fields: []string{field + ": a, " + token + " , b"}, want: keep("a, b")},
		{name: "in a line of its own", fields: []string{field + ": a", "sec-websocket-protocol: " + token, field + ": b"}, want: keep("a, b")},
		{name: "several", fields: []string{field + ": " + token + ", a, " + token + "x"}, want: keep("a")},
		{name: "in another case", fields: []string{field + ": a, " + strings.ToUpper(token)}, want: keep("a")},
		{name: "with a tab before", fields: []string{field + ": a,\t" + token}, want: keep("a")},
		{name: "on a folded line", fields: []string{field + ": a,", " " + token}, want: keep("a")},
		{name: "not base64url", fields: []string{field + ": a, base64url.bearer.authorization.k8s.io.???"}, want: keep("a")},
		{name: "without a token", fields: []string{field + ": a, base64url.bearer.authorization.k8s.io."}, want: keep("a")},
		{name: "none", fields: []string{field + ": a,b", field + ": c"}, want: keep("a,b", "c")},
		{name: "only like one", fields: []string{field + ": base64url.bearer.authorization.k8s.io, x" + token}, want: keep("base64url.bearer.authorization.k8s.io, x" + token)},
		// the API server trims what Unicode calls a blank (strings.TrimSpace)
		{name: "with a no-break space before", fields: []string{field + ": a, \u00a0" + token}, want: keep("a")},
		{name: "with a no-break space after the comma and a tab", fields: []string{field + ": a,\t\u00a0 " + token}, want: keep("a")},
		{name: "with a next line before", fields: []string{field + ": \u0085" + token + ", a"}, want: keep("a")},
		{name: "with an ideographic space before", fields: []string{field + ": a,\u3000" + token}, want: keep("a")},
	}
	for i := range cases {
		cases[i].fields = aliceAnd(append(cases[i].fields, "Connection: Upgrade", "Upgrade: websocket")...)
		cases[i].status = http.StatusSwitchingProtocols
	}
	g := guard(t, "", impersonating(t, ""))
	g.run(t, cases)
	g.run(t, []exchange{{ // the API server looks at upgrades only; others may not
		name: "without an upgrade", fields: aliceAnd(field + ": a, " + token), want: and(as("alice"), http.CanonicalHeaderKey(field), "a"),
	}})
}

// CVE-2026-50197 (Skipper): a decision that depends on how a body is framed.
func TestFraming(t *testing.T) {
	hostile := []string{"Connection: Impersonate-User", "Impersonate-User: admin", "X_Forwarded_User: admin", "Authorization: Bearer mine"}
	frame := func(name, line, body, wantBody string, want http.Header, fields ...string) exchange {
		return exchange{
			name: name, line: line, fields: aliceAnd(append(fields, hostile...)...),
			body: body, want: want, wantBody: wantBody,
		}
	}
	length := and(as("alice"), "Content-Length", "4")
	coded := and(as("alice"), "Transfer-Encoding", "chunked")
	const request = "GET /admin HTTP/1.1\r\nHost: x\r\nImpersonate-User: admin\r\n\r\n"
	cases := []exchange{
		frame("a length", "POST / HTTP/1.1", "text", "text", length, "Content-Length: 4"),
		frame("the same length twice", "POST / HTTP/1.1", "text", "text", length, "Content-Length: 4", "Content-Length: 4"),
		frame("chunks", "POST / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked"),
		frame("chunks in another case", "PATCH / HTTP/1.1", chunked("text"), "text", coded, "transfer-encoding: CHUNKED"),
		frame("chunks and a length", "POST / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked", "Content-Length: 3"),
		frame("a body with GET", "GET / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked"),
		frame("a body that is a request", "PUT / HTTP/1.1", chunked(request), request, coded, "Transfer-Encoding: chunked"),
		frame("no body", "DELETE / HTTP/1.1", "", "", as("alice")),
		frame("HEAD", "HEAD / HTTP/1.1", "", "", as("alice")),
		frame("a method of one's own", "ADMIN / HTTP/1.1", "", "", as("alice")),
		frame("OPTIONS", "OPTIONS / HTTP/1.1", "", "", as("alice")),
	}
	cases[8].want["Accept-Encoding"] = nil // net/http asks for no coding of nothing
	g := guard(t, "", impersonating(t, ""))
	g.run(t, cases)
	for i := range cases { // and nobody's proxy gets nowhere with any of them
		cases[i].from, cases[i].want = strangerPeer, nil
		cases[i].status, cases[i].reason = http.StatusUnauthorized, "no credential: fields dropped from a peer that is not trusted: 1"
	}
	t.Run("of a stranger", func(t *testing.T) { g.run(t, cases) })
}
