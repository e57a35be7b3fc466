// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"time"
)

// canaryWay is one way for a response to break off.
type canaryWay struct {
	name string

	method   string // "" is GET
	fields   []string
	body     string
	upstream func(conn net.Conn, reader *bufio.Reader) // after the header of the request
	client   func(conn net.Conn, reader *bufio.Reader) // after the request; nil: reads to the end
	alone    bool                                      // its fields hold the credential, and no others do
	http2    bool                                      // the client cancels over HTTP/2

	// What Caddy logs about it by default, for which a token must not be there to be seen:
	// "warn" is reverse_proxy's line with the header that it sent, "error" the server's line
	// about a 5xx with the header that came.
	logs string
}

const (
	canaryChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	canaryLength  = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
	canaryEvent   = "6\r\nevent\n\r\n"
	canarySwitch  = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// says writes a text and closes the connection.
func says(texts ...string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, _ *bufio.Reader) {
		for _, text := range texts {
			_, _ = io.WriteString(conn, text)
		}
	}
}

// resets writes a text, and resets the connection when the peer had time to read it.
func resets(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(conn, text)
		time.Sleep(20 * time.Millisecond)
		reset(conn)
	}
}

// holds writes a text, and then nothing until the connection ends.
func holds(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, reader *bufio.Reader) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, reader)
	}
}

// streams writes events until the connection ends.
func streams(conn net.Conn, _ *bufio.Reader) {
	_, err := io.WriteString(conn, canaryChunked)
	for err == nil {
		_, err = io.WriteString(conn, canaryEvent)
		time.Sleep(5 * time.Millisecond)
	}
}

// pours writes a large response.
func pours(conn net.Conn, _ *bufio.Reader) {
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
	block := strings.Repeat("x", 65536)
	for range 1024 {
		if _, err := io.WriteString(conn, block); err != nil {
			return
		}
	}
}

func reset(conn net.Conn) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// leaves closes the connection after the first bytes of the response.
func leaves(conn net.Conn, reader *bufio.Reader) {
	_, _ = reader.ReadByte()
	_ = conn.Close()
}

// breaks resets the connection after the first bytes of the response.
func breaks(conn net.Conn, reader *bufio.Reader) {
	_, _ = reader.ReadByte()
	reset(conn)
}

// gone closes the connection before the response.
func gone(conn net.Conn, _ *bufio.Reader) {
	time.Sleep(20 * time.Millisecond)
	_ = conn.Close()
}

func canaryWebsocket() []string {
	return []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
}

// canaryWays are the ways that need nothing in the configuration.
func canaryWays() []canaryWay {
	ws := canaryWebsocket()
	const post = "POST"
	return []canaryWay{
		// the upstream, before the response
		{name: "the upstream closes", upstream: says(), logs: "error"},
		{name: "the upstream resets", upstream: resets(""), logs: "error"},
		{name: "half a status line", upstream: says("HTTP/1.1 20"), logs: "error"},
		{name: "not HTTP", upstream: says("SSH-2.0-OpenSSH_9\r\n\r\n"), logs: "error"},
		{name: "half a header", upstream: says("HTTP/1.1 200 OK\r\nX-A: b\r\nX-"), logs: "error"},
		{name: "a header line without a colon", upstream: says("HTTP/1.1 200 OK\r\nX-A\r\n\r\n"), logs: "error"},
		{name: "two lengths", upstream: says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), logs: "error"},
		{name: "a length that is not a number", upstream: says("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab"), logs: "error"},
		{name: "an unknown transfer encoding", upstream: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nab"), logs: "error"},
		{name: "early hints, and then nothing", upstream: says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), logs: "error"},
		{name: "a continue, and then a reset", upstream: resets("HTTP/1.1 100 Continue\r\n\r\n"), logs: "error"},
		{name: "a POST that the upstream closes", method: post, fields: []string{"Content-Length: 4"}, body: "body", upstream: says(), logs: "error"},
		{name: "a HEAD that the upstream closes", method: "HEAD", upstream: says(), logs: "error"},
		{name: "a failure of the upstream's own", upstream: says("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nshort"), logs: "warn"},

		// the upstream, in the body
		{name: "a body shorter than its length", upstream: says(canaryLength, "short"), logs: "warn"},
		{name: "a reset in a body with a length", upstream: resets(canaryLength + "short"), logs: "warn"},
		{name: "no body at all", upstream: says(canaryLength), logs: "warn"},
		{name: "a body longer than its length", upstream: says("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nlonger")},
		{name: "a body that must not be there", upstream: says("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\nbody")},
		{name: "no last chunk", upstream: says(canaryChunked, canaryEvent), logs: "warn"},
		{name: "half a chunk", upstream: says(canaryChunked, "64\r\nshort"), logs: "warn"},
		{name: "a reset in a chunk", upstream: resets(canaryChunked + "64\r\nshort"), logs: "warn"},
		{name: "a chunk size that is not a number", upstream: says(canaryChunked, canaryEvent, "xyz\r\n"), logs: "warn"},
		{name: "a chunk longer than its size", upstream: says(canaryChunked, "2\r\nlonger\r\n"), logs: "warn"},
		{name: "a bad trailer", upstream: says(canaryChunked, canaryEvent, "0\r\nX-A\r\n\r\n"), logs: "warn"},
		{name: "a body until the connection ends", upstream: says("HTTP/1.1 200 OK\r\n\r\nbody")},
		{name: "a reset in a body until the connection ends", upstream: resets("HTTP/1.1 200 OK\r\n\r\nbody"), logs: "warn"},
		{name: "server-sent events that stop", upstream: says("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", canaryEvent), logs: "warn"},

		// the client
		{name: "the client leaves before the response", upstream: holds(""), client: gone},
		{name: "the client resets before the response", upstream: holds(""), client: func(conn net.Conn, _ *bufio.Reader) { time.Sleep(20 * time.Millisecond); reset(conn) }},
		{name: "the client leaves a watch", upstream: streams, client: leaves, logs: "warn"},
		{name: "the client resets a watch", upstream: streams, client: breaks, logs: "warn"},
		{name: "the client leaves a quiet watch", upstream: holds(canaryChunked + canaryEvent), client: leaves, logs: "warn"},
		{name: "the client leaves a download", upstream: pours, client: leaves, logs: "warn"},
		{name: "the client resets a download", upstream: pours, client: breaks, logs: "warn"},
		{name: "the client leaves its own body", method: post, fields: []string{"Content-Length: 100"}, body: "short", upstream: holds(""), client: gone},
		{name: "the client's chunk has a bad size", method: post, fields: []string{"Transfer-Encoding: chunked"}, body: "xyz\r\n", upstream: holds("")},
		{name: "the upstream answers early and resets", method: post, fields: []string{"Content-Length: 100"}, body: "short", upstream: resets(canaryLength + "early"), logs: "warn"},
		{name: "the client leaves a chat", method: post, fields: []string{"Content-Length: 4"}, body: "body", upstream: streams, client: leaves, logs: "warn"},

		// upgrades
		{name: "a refused WebSocket", fields: ws, upstream: says("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nshort"), logs: "warn"},
		{name: "a WebSocket that the upstream closes before its answer", fields: ws, upstream: says(), client: leaves, logs: "error"},
		{name: "a WebSocket that the upstream ends at once", fields: ws, upstream: says(canarySwitch)},
		{name: "a WebSocket that the upstream resets", fields: ws, upstream: resets(canarySwitch + "frame")},
		{name: "a WebSocket that the client leaves", fields: ws, upstream: holds(canarySwitch + "frame"), client: leaves},
		{name: "a WebSocket that the client resets", fields: ws, upstream: holds(canarySwitch + "frame"), client: breaks},
		{name: "a WebSocket that becomes another protocol", fields: ws, upstream: says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"), client: gone},
		{name: "a switch that was not asked for", upstream: says(canarySwitch), client: gone},
	}
}
