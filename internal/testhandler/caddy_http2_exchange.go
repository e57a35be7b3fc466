// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"testing"
)

// HTTP2Exchange is an exchange over HTTP/2 without TLS.
type HTTP2Exchange struct {
	Name     string
	From     string
	Pseudo   []Field // instead of the usual pseudo-fields
	Fields   []Field // besides them and alice
	Body     []byte
	Trailers []Field

	Stream bool // the stream or connection is refused, before any handler
	Status int
	Reason string
	Want   http.Header
}

// OverH2C are the global options for HTTP/2 without TLS.
const OverH2C = "servers {\nprotocols h1 h2c\nmax_header_size 1MB\n}"

// ExchangeHTTP2 sends a request over HTTP/2 and compares its result.
func (g *Guarded) ExchangeHTTP2(tb testing.TB, e *HTTP2Exchange) {
	tb.Helper()
	e.From = cmp.Or(e.From, TrustedPeer)
	fields := e.Pseudo
	if fields == nil {
		fields = []Field{{":method", "GET"}, {":scheme", "http"}, {":authority", SiteHost}, {":path", "/"}}
		if e.Body != nil || e.Trailers != nil {
			fields[0][1] = "POST"
		}
	}
	status, err := SendHTTP2(tb, g.Dial(tb, e.From), slices.Concat(fields, e.Fields), e.Body, e.Trailers)
	switch {
	case e.Stream && !errors.Is(err, errHTTP2) && status != http.StatusBadRequest:
		tb.Errorf("status %d, error %v, want the stream refused", status, err)
	case !e.Stream && err != nil:
		tb.Errorf("reading the response: %v", err)
	case !e.Stream && status != max(e.Status, http.StatusOK):
		tb.Errorf("status %d, want %d", status, max(e.Status, http.StatusOK))
	}
	g.CheckReason(tb, e.Reason)
	if e.Want == nil {
		g.CheckNothing(tb)
		return
	}
	want := Received{Line: fields[0][1] + " / HTTP/1.1", Header: Proxied(e.From, e.Want), Body: string(e.Body)}
	want.Header["Via"] = []string{"2.0 Caddy"}
	g.CheckReceived(tb, want)
}

// RunHTTP2 sends every request over HTTP/2 and compares the results.
func (g *Guarded) RunHTTP2(t *testing.T, exchanges []HTTP2Exchange) {
	t.Helper()
	for _, e := range exchanges {
		t.Run(e.Name, func(t *testing.T) { g.ExchangeHTTP2(t, &e) })
	}
}
