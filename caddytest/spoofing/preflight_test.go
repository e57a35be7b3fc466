// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A client needs no credential to send what looks like the preflight of a listed page, and
// may add whatever it likes. The upstream gets the question alone.
func TestAHandMadePreflightBringsNothingElse(t *testing.T) {
	const line = "OPTIONS /api/x?watch=1 HTTP/1.1"
	asks := []string{"Origin: https://portal.example", "Access-Control-Request-Method: PUT"}
	want := http.Header{"Origin": {"https://portal.example"}, "Access-Control-Request-Method": {"PUT"}}
	g := testhandler.Guard(t, "", testhandler.Impersonating(t, "cross_origin https://portal.example"))
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "nothing", Line: line, Fields: asks, Want: want},
		{
			Name: "an identity, from a trusted proxy", Line: line,
			Fields: testhandler.With(asks, testhandler.AliceAnd("Impersonate-User: admin", "Authorization: Bearer x", "Cookie: session=1")...),
			Want:   want,
		},
		{
			Name: "a token as a subprotocol", Line: line,
			Fields: testhandler.With(asks, "Sec-WebSocket-Protocol: "+testhandler.BearerSubprotocol("of-alice"), "Sec-WebSocket-Protocol: base64url.headlamp.authorization.k8s.io.eve"),
			Want:   want,
		},
		{
			Name: "a body", Line: line,
			Fields: testhandler.With(asks, "Content-Length: 6"), Body: "delete",
			Want: want,
		},
		{
			Name: "a body in chunks, with a trailer", Line: line,
			Fields: testhandler.With(asks, "Transfer-Encoding: chunked", "Trailer: Impersonate-User"),
			Body:   "6\r\ndelete\r\n0\r\nImpersonate-User: admin\r\n\r\n",
			Want:   want,
		},
		{
			Name: "an offer of HTTP/2", Line: line,
			Fields: testhandler.With(asks, "Connection: Upgrade, HTTP2-Settings, Origin", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
			Want:   want,
		},
		{
			Name: "a websocket", Line: line, Status: http.StatusForbidden,
			Fields: testhandler.With(asks, "Connection: Upgrade", "Upgrade: websocket"),
			Reason: `forbidden: a preflight of a page of another origin: "https://portal.example", and this site is "http://dash.example"`,
		},
		{
			Name: "another origin", Line: line, Status: http.StatusForbidden,
			Fields: testhandler.With(asks, "Origin: https://evil.example"),
			Reason: `forbidden: a preflight of a page of another origin: "https://portal.example, https://evil.example", and this site is "http://dash.example"`,
		},
	})
}
