// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// CVE-2026-71324 (Traefik), CVE-2018-1002105 (kube-apiserver): CONNECT reaches the upstream
// with the injected credential, and an unneeded upgrade is a raw tunnel to the upstream, in
// which the handler does not see the client's requests.
func TestShapesThatAreRefused(t *testing.T) {
	cases := []testhandler.Exchange{
		{Name: "CONNECT to the host", Line: "CONNECT " + testhandler.SiteHost + ":80 HTTP/1.1", Fields: testhandler.AliceAnd(), Status: 405, Reason: "method not allowed: CONNECT"},
		{Name: "CONNECT to a path", Line: "CONNECT / HTTP/1.1", Fields: testhandler.AliceAnd(), Status: 405, Reason: "method not allowed: CONNECT"},
		{
			Name: "CONNECT that claims to be a websocket", Line: "CONNECT / HTTP/1.1",
			Fields: testhandler.AliceAnd("Connection: Upgrade", "Upgrade: websocket", "Protocol: websocket"), Status: 405, Reason: "method not allowed: CONNECT",
		},
		{Name: "TRACE", Line: "TRACE / HTTP/1.1", Fields: testhandler.AliceAnd(), Status: 405, Reason: "method not allowed: TRACE"},
	}
	testhandler.Guard(t, "", testhandler.Impersonating(t, "anonymous {\non_failure\n}")).RunAndCheck(t, cases)
}

// curl --http2 and Java's client offer h2c with each request. An offer may be ignored (RFC
// 9110, section 7.8): the request goes on, and nothing of the offer goes upstream.
func TestOtherUpgradesAreDropped(t *testing.T) {
	dropped := func(name string, fields ...string) testhandler.Exchange {
		fields = append(fields, "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "Impersonate-User: admin", "Authorization: Bearer mine")
		return testhandler.Exchange{Name: name, Fields: testhandler.AliceAnd(fields...), Want: testhandler.As("alice")}
	}
	cases := []testhandler.Exchange{
		dropped("as curl does", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
		dropped("two lines", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
		dropped("two lines that agree", "Connection: Upgrade", "Upgrade: websocket", "upgrade: websocket"),
		dropped("without Connection", "Upgrade: h2c"),
		dropped("only the settings", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA"),
	}
	for _, value := range []string{
		"h2c", "H2C", "webſocket", "websocket, h2c", "h2c, websocket", "websocket,", "websocket/13", "TLS/1.0", "HTTP/2.0", "SPDY/3", "SPDY/3.10",
		"connect-udp", "", `"websocket"`, "spdy/3.1,websocket",
	} {
		cases = append(cases, dropped("upgrade to "+value, "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+value))
	}
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, cases)
}

func TestUpgradesThatAreForwarded(t *testing.T) {
	cases := []testhandler.Exchange{
		{Name: "websocket", Fields: []string{"Connection: Upgrade", "Upgrade: websocket"}, Want: testhandler.Upgraded(testhandler.As("alice"), "websocket")},
		{Name: "in any case", Fields: []string{"connection: uPGRADE", "upgrade: WebSocket"}, Want: testhandler.Upgraded(testhandler.As("alice"), "websocket")},
		{Name: "SPDY/3.1", Fields: []string{"Connection: Upgrade", "Upgrade: SPDY/3.1"}, Want: testhandler.Upgraded(testhandler.As("alice"), "spdy/3.1")},
		{
			Name: "Connection names more", Fields: []string{"Connection: keep-alive, Impersonate-User", "Connection: Authorization , Upgrade", "Upgrade: websocket"},
			Want: testhandler.Upgraded(testhandler.As("alice"), "websocket"),
		},
		{
			Name: "with a handshake", Fields: []string{
				"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
				"Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io",
			},
			Want: testhandler.Upgraded(testhandler.As("alice"), "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
				"Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
		},
		{
			Name: "Upgrade without Connection is ignored", Fields: []string{"Upgrade: websocket", "Connection: Impersonate-User"},
			Want: testhandler.As("alice"), Status: http.StatusOK,
		},
	}
	for i := range cases {
		cases[i].Fields = testhandler.AliceAnd(cases[i].Fields...)
		if cases[i].Status == 0 {
			cases[i].Status = http.StatusSwitchingProtocols
		}
	}
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, cases)
}

// A browser cannot set Authorization on a websocket, so the API server also accepts a bearer
// token as a subprotocol, if Authorization did not decide: a second way in.
func TestBearerSubprotocols(t *testing.T) {
	token := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("mine"))
	const field = "Sec-WebSocket-Protocol"
	keep := func(rest ...string) http.Header {
		header := testhandler.Upgraded(testhandler.As("alice"), "websocket")
		if len(rest) > 0 {
			header[field] = rest
		}
		return header
	}
	cases := []testhandler.Exchange{
		{Name: "before another", Fields: []string{field + ": " + token + ", v4.channel.k8s.io"}, Want: keep("v4.channel.k8s.io")},
		{Name: "after another", Fields: []string{field + ": v4.channel.k8s.io," + token}, Want: keep("v4.channel.k8s.io")},
		{Name: "alone", Fields: []string{field + ": " + token}, Want: keep()},
		{Name: "between others", Fields: []string{field + ": a, " + token + " , b"}, Want: keep("a, b")},
		{Name: "in a line of its own", Fields: []string{field + ": a", "sec-websocket-protocol: " + token, field + ": b"}, Want: keep("a, b")},
		{Name: "several", Fields: []string{field + ": " + token + ", a, " + token + "x"}, Want: keep("a")},
		{Name: "in another case", Fields: []string{field + ": a, " + strings.ToUpper(token)}, Want: keep("a")},
		{Name: "with a tab before", Fields: []string{field + ": a,\t" + token}, Want: keep("a")},
		{Name: "on a folded line", Fields: []string{field + ": a,", " " + token}, Want: keep("a")},
		{Name: "not base64url", Fields: []string{field + ": a, base64url.bearer.authorization.k8s.io.???"}, Want: keep("a")},
		{Name: "without a token", Fields: []string{field + ": a, base64url.bearer.authorization.k8s.io."}, Want: keep("a")},
		{Name: "none", Fields: []string{field + ": a,b", field + ": c"}, Want: keep("a,b", "c")},
		{Name: "only similar to one", Fields: []string{field + ": base64url.bearer.authorization.k8s.io, x" + token}, Want: keep("base64url.bearer.authorization.k8s.io, x" + token)},
		// the API server trims blanks as Unicode defines them (strings.TrimSpace)
		{Name: "with a no-break space before", Fields: []string{field + ": a, \u00a0" + token}, Want: keep("a")},
		{Name: "with a no-break space after the comma and a tab", Fields: []string{field + ": a,\t\u00a0 " + token}, Want: keep("a")},
		{Name: "with a next line before", Fields: []string{field + ": \u0085" + token + ", a"}, Want: keep("a")},
		{Name: "with an ideographic space before", Fields: []string{field + ": a,\u3000" + token}, Want: keep("a")},
	}
	for i := range cases {
		cases[i].Fields = testhandler.AliceAnd(append(cases[i].Fields, "Connection: Upgrade", "Upgrade: websocket")...)
		cases[i].Status = http.StatusSwitchingProtocols
	}
	g := testhandler.Guard(t, "", testhandler.Impersonating(t, ""))
	g.RunAndCheck(t, cases)
	g.RunAndCheck(t, []testhandler.Exchange{{ // the API server reads it on upgrades only; others may read it on any request
		Name: "without an upgrade", Fields: testhandler.AliceAnd(field + ": a, " + token), Want: testhandler.And(testhandler.As("alice"), http.CanonicalHeaderKey(field), "a"),
	}})
}

// CVE-2026-50197 (Skipper): a decision that depends on how a body is framed.
func TestFraming(t *testing.T) {
	hostile := []string{"Connection: Impersonate-User", "Impersonate-User: admin", "X_Forwarded_User: admin", "Authorization: Bearer mine"}
	frame := func(name, line, body, wantBody string, want http.Header, fields ...string) testhandler.Exchange {
		return testhandler.Exchange{
			Name: name, Line: line, Fields: testhandler.AliceAnd(append(fields, hostile...)...),
			Body: body, Want: want, WantBody: wantBody,
		}
	}
	length := testhandler.And(testhandler.As("alice"), "Content-Length", "4")
	coded := testhandler.And(testhandler.As("alice"), "Transfer-Encoding", "chunked")
	const request = "GET /admin HTTP/1.1\r\nHost: x\r\nImpersonate-User: admin\r\n\r\n"
	cases := []testhandler.Exchange{
		frame("a length", "POST / HTTP/1.1", "text", "text", length, "Content-Length: 4"),
		frame("the same length twice", "POST / HTTP/1.1", "text", "text", length, "Content-Length: 4", "Content-Length: 4"),
		frame("chunks", "POST / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked"),
		frame("chunks in another case", "PATCH / HTTP/1.1", chunked("text"), "text", coded, "transfer-encoding: CHUNKED"),
		frame("chunks and a length", "POST / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked", "Content-Length: 3"),
		frame("a body with GET", "GET / HTTP/1.1", chunked("text"), "text", coded, "Transfer-Encoding: chunked"),
		frame("a body that is a request", "PUT / HTTP/1.1", chunked(request), request, coded, "Transfer-Encoding: chunked"),
		frame("no body", "DELETE / HTTP/1.1", "", "", testhandler.As("alice")),
		frame("HEAD", "HEAD / HTTP/1.1", "", "", testhandler.As("alice")),
		frame("a method of one's own", "ADMIN / HTTP/1.1", "", "", testhandler.As("alice")),
		frame("OPTIONS", "OPTIONS / HTTP/1.1", "", "", testhandler.As("alice")),
	}
	cases[8].Want["Accept-Encoding"] = nil // net/http asks for no coding without a body
	g := testhandler.Guard(t, "", testhandler.Impersonating(t, ""))
	g.RunAndCheck(t, cases)
	for i := range cases { // and an untrusted proxy is refused with each of them
		cases[i].From, cases[i].Want = testhandler.StrangerPeer, nil
		cases[i].Status, cases[i].Reason = http.StatusUnauthorized, "no credential: fields dropped from a peer that is not trusted: 1"
	}
	t.Run("of a stranger", func(t *testing.T) { g.RunAndCheck(t, cases) })
}
