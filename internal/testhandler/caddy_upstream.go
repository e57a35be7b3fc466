// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Received is one request as the upstream read it off the wire: every line of the header and
// of the trailer, also those that net/http would hide.
type Received struct {
	Line    string // the request line
	Header  http.Header
	Body    string
	Trailer http.Header
}

// Upstream is a server with its own parser for HTTP/1.1, so that no library hides what Caddy
// sends: it records each request, and answers 200 with an empty body, or 101 and an echo of
// bytes to an upgrade.
type Upstream struct {
	// Addr is the address, host and port.
	Addr string

	respond  Respond
	received Recorder
}

// Respond answers a request on its connection, and says whether the connection stays open
// for the next request. It may keep the connection for any time: it is closed when the test
// ends.
type Respond func(conn net.Conn, reader *bufio.Reader, request Received) bool

// NewUpstream starts an upstream that ends with the test.
func NewUpstream(tb testing.TB) *Upstream {
	tb.Helper()
	return NewUpstreamWith(tb, echo)
}

// NewUpstreamWith is NewUpstream with another answer.
func NewUpstreamWith(tb testing.TB, respond Respond) *Upstream {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listening: %v", err)
	}
	u := &Upstream{Addr: listener.Addr().String(), respond: respond}
	var conns sync.Map
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			done.Go(func() { u.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		conns.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
		done.Wait()
	})
	return u
}

// Take returns the requests that have come since the last call.
func (u *Upstream) Take() []Received { return u.received.Take() }

func (u *Upstream) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		received, err := readRequest(reader)
		if err != nil {
			return
		}
		u.received.add(received)
		if !u.respond(conn, reader, received) {
			return
		}
	}
}

// echo is the usual answer.
func echo(conn net.Conn, reader *bufio.Reader, request Received) bool {
	if upgrade := request.Header.Get("Upgrade"); upgrade != "" {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n")
		_, _ = io.Copy(conn, reader)
		return false
	}
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	return err == nil
}

// readRequest reads a request off the wire, unchanged.
func readRequest(reader *bufio.Reader) (Received, error) {
	text := textproto.NewReader(reader)
	line, err := text.ReadLine()
	if err != nil {
		return Received{}, err
	}
	header, err := readFields(text)
	if err != nil {
		return Received{}, err
	}
	received := Received{Line: line, Header: header, Trailer: http.Header{}}
	var body []byte
	if strings.EqualFold(header.Get("Transfer-Encoding"), "chunked") {
		if body, err = io.ReadAll(httputil.NewChunkedReader(reader)); err == nil {
			received.Trailer, err = readFields(text)
		}
	} else if length := header.Get("Content-Length"); length != "" {
		n, convErr := strconv.Atoi(length)
		if convErr != nil {
			return Received{}, convErr
		}
		body = make([]byte, n)
		_, err = io.ReadFull(reader, body)
	}
	received.Body = string(body)
	return received, err
}

// readFields reads field lines up to an empty one, with names as they are spelled.
func readFields(text *textproto.Reader) (http.Header, error) {
	fields := http.Header{}
	for {
		line, err := text.ReadLine()
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fields, errors.New("a field line without a colon")
		}
		fields[name] = append(fields[name], textproto.TrimString(value))
	}
}
