// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// chunked is a body of one chunk with trailers after it.
func chunked(text string, trailers ...string) string {
	return fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", len(text), text, strings.Join(append(trailers, ""), "\r\n"))
}

// GHSA-9w88-79f8-m3vp, "Trailing Danger": once a single trailer is announced, net/http
// merges all trailers into the request, and Caddy 2.11.9 forwards them. Some upstreams treat
// a trailer as a field of the header.
func TestTrailersNeverReachTheUpstream(t *testing.T) {
	announced := "Trailer: X-Benign"
	cases := []struct {
		name     string
		fields   []string
		trailers []string
	}{
		{"a benign trailer, announced", []string{announced}, []string{"X-Benign: 1"}},
		{"a benign trailer, not announced", nil, []string{"X-Benign: 1"}},
		{"Impersonate-User, announced", []string{"Trailer: Impersonate-User"}, []string{"Impersonate-User: admin"}},
		{"Impersonate-User, not announced", nil, []string{"Impersonate-User: admin"}},
		{
			"identity beside a benign trailer that is announced",
			[]string{announced},
			[]string{"X-Benign: 1", "Impersonate-User: admin", "Impersonate-Group: system:masters", "Authorization: Bearer x"},
		},
		{
			"spellings that Caddy's own filter does not see in trailers",
			[]string{announced},
			[]string{"X-Benign: 1", "Impersonate_User: admin", "Impersonate.User: admin", "X_Remote_User: admin"},
		},
		{
			"several announcements",
			[]string{announced, "Trailer: Impersonate-User, X-Forwarded-User", "trailer: authorization"},
			[]string{"X-Forwarded-User: admin", "authorization: Bearer x", "impersonate-user: admin"},
		},
		{"an announced trailer that never comes", []string{"Trailer: Impersonate-User"}, nil},
		{"TE asks for trailers too", []string{announced, "TE: trailers"}, []string{"X-Benign: 1", "Impersonate-User: admin"}},
		{
			"Connection names Trailer",
			[]string{announced, "Connection: Trailer, Impersonate-User"},
			[]string{"X-Benign: 1", "Impersonate-User: admin"},
		},
		{
			"the trailer repeats a field of the trusted proxy",
			[]string{"Trailer: X-Forwarded-User, X-Forwarded-Groups"},
			[]string{"X-Forwarded-User: admin", "X-Forwarded-Groups: system:masters"},
		},
	}
	exchanges := make([]testhandler.Exchange, 0, len(cases))
	for _, c := range cases {
		want := testhandler.And(testhandler.As("alice"), "Transfer-Encoding", "chunked")
		for _, field := range c.fields {
			if strings.HasPrefix(field, "TE:") {
				want = testhandler.And(want, "Te", "trailers")
			}
		}
		exchanges = append(exchanges, testhandler.Exchange{
			Name:     c.name,
			Line:     "POST / HTTP/1.1",
			Fields:   testhandler.AliceAnd(append(c.fields, "Transfer-Encoding: chunked")...),
			Body:     chunked("text", c.trailers...),
			Want:     want,
			WantBody: "text",
		})
	}
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, exchanges)
}

// The same if an error route has a proxy: it gets the request that was refused, or whose
// upstream failed. tracing passes on a copy of the request, so an error route sees another
// *http.Request than the handler did, with the same map of trailers.
func TestTrailersNeverReachAnErrorRoute(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	for _, c := range []struct{ name, before, user, reason string }{
		{"refused", "", "bob", `forbidden: user "bob" is denied`},
		{"failed behind", "", "alice", ""},
		{"refused behind tracing", "tracing", "bob", `forbidden: user "bob" is denied`},
		{"failed behind tracing", "tracing", "alice", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := testhandler.Guard(t, "", `http://:0 {
	`+c.before+`
	`+block(t)+`
	reverse_proxy 127.0.0.1:1
	handle_errors {
		reverse_proxy %[1]s {
			header_up -Traceparent
		}
	}
}
`)
			g.Send(t, testhandler.TrustedPeer, "POST / HTTP/1.1", []string{
				"X-Forwarded-User: " + c.user, "Trailer: X-Benign", "Transfer-Encoding: chunked",
			}, chunked("text", "X-Benign: 1", "Impersonate-User: admin", "Authorization: Bearer x"))
			g.CheckReason(t, c.reason)
			received := g.Upstream.Take()
			if len(received) > 1 {
				t.Fatalf("the error route's upstream received %+v, want one request or none", received)
			}
			want := testhandler.Received{
				Line:    "POST / HTTP/1.1",
				Header:  testhandler.Proxied(testhandler.TrustedPeer, http.Header{"Transfer-Encoding": {"chunked"}}),
				Body:    "text",
				Trailer: http.Header{},
			}
			for _, got := range received { // none if the body was closed together with its trailers
				if !reflect.DeepEqual(got, want) {
					t.Errorf("the error route's upstream received\n%+v\nwant\n%+v", got, want)
				}
			}
		})
	}
}
