// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"cmp"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Exchange is one request, byte for byte, and its whole result.
type Exchange struct {
	Name   string
	From   string   // the peer's address; "" is the trusted proxy
	Line   string   // the request line; "" is "GET / HTTP/1.1"
	Fields []string // the lines of the header besides Host
	Body   string

	Status int    // for the client; 0 is 200
	Reason string // logged for a request that is refused; "" for one that is forwarded

	// The whole request that the upstream receives: Want besides the fields that reverse_proxy
	// writes itself (Want may replace them, or remove them with nil), and never a trailer.
	Want     http.Header
	WantLine string // "" is line
	WantBody string
}

// Run sends every request and compares the results.
func (g *Guarded) Run(t *testing.T, exchanges []Exchange) {
	t.Helper()
	for _, e := range exchanges {
		t.Run(e.Name, func(t *testing.T) { g.Exchange(t, &e) })
	}
}

// Exchange sends a request and compares its result.
func (g *Guarded) Exchange(tb testing.TB, e *Exchange) {
	tb.Helper()
	e.From = cmp.Or(e.From, TrustedPeer)
	e.Line = cmp.Or(e.Line, "GET / HTTP/1.1")
	got := g.Send(tb, e.From, e.Line, e.Fields, e.Body)
	if e.Status == 0 {
		e.Status = http.StatusOK
	}
	if got.Status != e.Status {
		tb.Errorf("status %d, want %d", got.Status, e.Status)
	}
	if e.Reason != "" && got.Text != "" {
		tb.Errorf("the client gets %q", got.Text)
	}
	g.CheckReason(tb, e.Reason)
	if e.Want == nil {
		g.CheckNothing(tb)
		return
	}
	g.CheckReceived(tb, Received{
		Line:   cmp.Or(e.WantLine, e.Line),
		Header: Proxied(e.From, e.Want),
		Body:   e.WantBody,
	})
}

// Reply is the answer that a client gets.
type Reply struct {
	Status int
	Header http.Header
	Text   string
}

// Send writes a request byte for byte as given, and reads the answer.
func (c *Caddy) Send(tb testing.TB, from, line string, fields []string, body string) Reply {
	tb.Helper()
	conn := c.Dial(tb, from)
	defer conn.Close()
	WriteRequest(tb, conn, line, fields, body)
	return ReadReply(tb, bufio.NewReader(conn), line)
}

// WriteRequest writes a request byte for byte as given.
func WriteRequest(tb testing.TB, conn net.Conn, line string, fields []string, body string) {
	tb.Helper()
	lines := append([]string{line, "Host: " + SiteHost}, fields...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		tb.Fatalf("sending the request: %v", err)
	}
}

// ReadReply reads one response with its body.
func ReadReply(tb testing.TB, reader *bufio.Reader, line string) Reply {
	tb.Helper()
	method, _, _ := strings.Cut(line, " ")
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("reading the response: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatalf("reading the response: %v", err)
	}
	return Reply{response.StatusCode, response.Header, string(text)}
}

// CheckReceived compares the only request that reached the upstream, all of it.
func (g *Guarded) CheckReceived(tb testing.TB, want Received) {
	tb.Helper()
	received := g.Upstream.Take()
	if len(received) != 1 {
		tb.Fatalf("the upstream received %d requests, want 1: %+v", len(received), received)
	}
	if want.Trailer == nil {
		want.Trailer = http.Header{}
	}
	if got := received[0]; !reflect.DeepEqual(got, want) {
		tb.Errorf("the upstream received\n%+v\nwant\n%+v", got, want)
	}
}

// CheckNothing asserts that no request reached the upstream.
func (g *Guarded) CheckNothing(tb testing.TB) {
	tb.Helper()
	g.Upstream.received.WantNothing(tb)
}

// CheckReason compares the logged reason of the last request: why it was refused, or
// nothing. If want ends with "…", only the beginning is compared.
func (g *Guarded) CheckReason(tb testing.TB, want string) {
	tb.Helper()
	refusals := g.Refusals(tb)
	fresh := refusals[g.Refused:]
	g.Refused = len(refusals)
	switch {
	case want == "" && len(fresh) == 0:
	case want == "":
		tb.Errorf("refused: %+v", fresh)
	case len(fresh) != 1:
		tb.Errorf("%d refusals in the log, want 1: %+v", len(fresh), fresh)
	case strings.HasSuffix(want, "…") && strings.HasPrefix(fresh[0].Reason, strings.TrimSuffix(want, "…")):
	case fresh[0].Reason != want:
		tb.Errorf("refused: %s\nwant: %s", fresh[0].Reason, want)
	}
}
