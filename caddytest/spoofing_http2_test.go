// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// overHTTP2 is an exchange over HTTP/2 without TLS.
type overHTTP2 struct {
	name     string
	from     string
	pseudo   []field // in place of the usual pseudo-fields
	fields   []field // besides them and alice
	body     []byte
	trailers []field

	stream bool // the stream or connection is refused, before any handler
	status int
	reason string
	want   http.Header
}

const overH2C = "servers {\nprotocols h1 h2c\nmax_header_size 1MB\n}"

func (g *guarded) exchangeHTTP2(t *testing.T, e *overHTTP2) {
	t.Helper()
	e.from = orElse(e.from, trustedPeer)
	fields := e.pseudo
	if fields == nil {
		fields = []field{{":method", "GET"}, {":scheme", "http"}, {":authority", siteHost}, {":path", "/"}}
		if e.body != nil || e.trailers != nil {
			fields[0].value = "POST"
		}
	}
	status, err := sendHTTP2(t, g.Dial(t, e.from), slices.Concat(fields, e.fields), e.body, e.trailers)
	switch {
	case e.stream && !errors.Is(err, errHTTP2) && status != http.StatusBadRequest:
		t.Errorf("status %d, error %v, want the stream refused", status, err)
	case !e.stream && err != nil:
		t.Errorf("reading the response: %v", err)
	case !e.stream && status != max(e.status, http.StatusOK):
		t.Errorf("status %d, want %d", status, max(e.status, http.StatusOK))
	}
	g.checkReason(t, e.reason)
	if e.want == nil {
		g.checkNothing(t)
		return
	}
	want := caddytest.Received{Line: fields[0].value + " / HTTP/1.1", Header: proxied(e.from, e.want), Body: string(e.body)}
	want.Header["Via"] = []string{"2.0 Caddy"}
	g.checkReceived(t, want)
}

func (g *guarded) runHTTP2(t *testing.T, exchanges []overHTTP2) {
	t.Helper()
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) { g.exchangeHTTP2(t, &e) })
	}
}

// withAlice are the fields in which the trusted proxy names alice, and others.
func withAlice(fields ...field) []field {
	return append([]field{{"x-forwarded-user", "alice"}}, fields...)
}

// Over HTTP/2 a handler sees values with their outer blanks, which the HTTP/1.1 to the
// upstream drops: what was judged would not be what arrives.
func TestUntrimmedValuesOverHTTP2(t *testing.T) {
	var cases []overHTTP2
	const outer = "begins or ends with a blank"
	for name, value := range map[string]string{
		"a blank before": " admin", "a blank after": "admin ", "blanks around": " admin ", "a tab after": "admin\t",
		"only blanks": "  ", "a reserved name in disguise": " system:masters\t", "a tab alone": "\t",
	} {
		cases = append(cases, overHTTP2{
			name: "the user has " + name, fields: []field{{"x-forwarded-user", value}},
			status: http.StatusForbidden, reason: "forbidden: the user " + outer,
		}, overHTTP2{
			name: "the group has " + name, fields: withAlice(field{"x-forwarded-groups", value}),
			status: http.StatusForbidden, reason: "forbidden: the group " + outer,
		})
	}
	cases = append(
		cases,
		overHTTP2{name: "an empty user", fields: []field{{"x-forwarded-user", ""}}, status: 401, reason: "no credential"},
		overHTTP2{name: "an empty group", fields: withAlice(field{"x-forwarded-groups", ""}), want: as("alice")},
		overHTTP2{name: "no blanks", fields: withAlice(field{"x-forwarded-groups", "a b"}), want: as("alice", "a b")},
	)
	guard(t, overH2C, impersonating(t, "")).runHTTP2(t, cases)
}

func TestSpoofingOverHTTP2(t *testing.T) {
	guard(t, overH2C, impersonating(t, "strip_cookies session")).runHTTP2(t, []overHTTP2{
		{
			name: "identity of every kind", fields: withAlice(
				field{"impersonate-user", "admin"}, field{"impersonate-group", "system:masters"}, field{"authorization", "Bearer mine"},
				field{"x-remote-user", "admin"}, field{"impersonate~user", "admin"}, field{"proxy-authorization", "x"},
			),
			want: as("alice"),
		},
		{
			name: "of a stranger", from: strangerPeer, fields: withAlice(field{"impersonate-user", "admin"}),
			status: http.StatusUnauthorized, reason: "no credential: fields dropped from a peer that is not trusted: 1",
		},
		{
			name: "two users", fields: withAlice(field{"x-forwarded-user", "admin"}),
			status: http.StatusBadRequest, reason: "malformed: 2 lines of X-Forwarded-User",
		},
		{
			name: "trailers, announced", body: []byte("text"),
			fields:   withAlice(field{"trailer", "x-benign, impersonate-user"}),
			trailers: []field{{"x-benign", "1"}, {"impersonate-user", "admin"}, {"x-remote-user", "admin"}},
			want:     and(as("alice"), "Transfer-Encoding", "chunked"),
		},
		{
			name: "trailers, not announced", body: []byte("text"), fields: withAlice(),
			trailers: []field{{"impersonate-user", "admin"}, {"authorization", "Bearer x"}},
			want:     and(as("alice"), "Transfer-Encoding", "chunked"),
		},
		{
			name: "cookies, a field each", fields: withAlice(field{"cookie", "a=1"}, field{"cookie", "session=x"}, field{"cookie", "b=2"}),
			want: and(as("alice"), "Cookie", "a=1; b=2"),
		},
		{
			name: "a cookie with blanks around", fields: withAlice(field{"cookie", "\tsession=x "}), want: as("alice"),
		},
		{
			name: "a bearer token among subprotocols, untrimmed",
			fields: withAlice(field{"sec-websocket-protocol", " base64url.bearer.authorization.k8s.io.bWluZQ "},
				field{"sec-websocket-protocol", "a"}),
			want: and(as("alice"), "Sec-Websocket-Protocol", "a"),
		},
		{name: "te", fields: withAlice(field{"te", "trailers"}), want: and(as("alice"), "Te", "trailers")},
	})
}

// What HTTP/2 does not allow never gets to a handler.
func TestWhatHTTP2DoesNotAllow(t *testing.T) {
	usual := []field{{":method", "GET"}, {":scheme", "http"}, {":authority", siteHost}, {":path", "/"}}
	cases := []overHTTP2{
		{name: "Connection", fields: withAlice(field{"connection", "impersonate-user"})},
		{name: "Connection in another case", fields: withAlice(field{"Connection", "impersonate-user"})},
		{name: "Proxy-Connection", fields: withAlice(field{"proxy-connection", "impersonate-user"})},
		{name: "Keep-Alive", fields: withAlice(field{"keep-alive", "x"})},
		{name: "Upgrade", fields: withAlice(field{"upgrade", "websocket"})},
		{name: "Transfer-Encoding", fields: withAlice(field{"transfer-encoding", "chunked"})},
		{name: "TE for more than trailers", fields: withAlice(field{"te", "trailers, impersonate-user"})},
		{name: "a name in upper case", fields: withAlice(field{"Impersonate-User", "admin"})},
		{name: "a name with a line break", fields: withAlice(field{"x-app\r\nimpersonate-user", "admin"})},
		{name: "a name with a colon", fields: withAlice(field{"impersonate-user:", "admin"})},
		{name: "an empty name", fields: withAlice(field{"", "admin"})},
		{name: "a value with a line break", fields: withAlice(field{"x-app", "a\r\nimpersonate-user: admin"})},
		{name: "a value with a NUL", fields: []field{{"x-forwarded-user", "alice\x00"}}},
		{name: "a second path", pseudo: append(slices.Clone(usual), field{":path", "/admin"}), fields: withAlice()},
		{name: "a second host", pseudo: append(slices.Clone(usual), field{":authority", "other"}), fields: withAlice()},
		{name: "a pseudo-field after others", fields: withAlice(field{":authority", "other"})},
		{name: "a pseudo-field that is none", pseudo: append(slices.Clone(usual), field{":user", "admin"}), fields: withAlice()},
		{name: "an identity as pseudo-field", pseudo: append(slices.Clone(usual), field{":impersonate-user", "admin"}), fields: withAlice()},
		{
			name: "a credential as trailer", body: []byte("text"), fields: withAlice(field{"trailer", "x-benign"}),
			trailers: []field{{"authorization", "Bearer x"}},
		},
		{name: "CONNECT with a protocol", pseudo: []field{
			{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", siteHost}, {":path", "/"},
		}, fields: withAlice()},
	}
	for i := range cases {
		cases[i].stream = true
	}
	g := guard(t, overH2C, impersonating(t, ""))
	g.runHTTP2(t, cases)
	g.runHTTP2(t, []overHTTP2{
		{
			name: "CONNECT", pseudo: []field{{":method", "CONNECT"}, {":authority", siteHost + ":80"}}, fields: withAlice(),
			status: http.StatusMethodNotAllowed, reason: "method not allowed: CONNECT",
		},
		{
			name: "TRACE", pseudo: append([]field{{":method", "TRACE"}}, usual[1:]...), fields: withAlice(),
			status: http.StatusMethodNotAllowed, reason: "method not allowed: TRACE",
		},
	})
}

// The same with a client that others use: net/http's own.
func TestSpoofingOverHTTP2WithALibrary(t *testing.T) {
	g := guard(t, overH2C, impersonating(t, ""))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Addr+"/", io.NopCloser(strings.NewReader("text")))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = siteHost
	request.Header = http.Header{"X-Forwarded-User": {"alice"}, "Impersonate-User": {"admin"}, "User-Agent": {"test"}}
	request.Trailer = http.Header{"Impersonate-User": {"admin"}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := bufio.NewReader(response.Body).ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("reading the response: %v", err)
	}
	if response.StatusCode != http.StatusUnauthorized || response.ProtoMajor != 2 {
		t.Errorf("status %d over %s, want 401 over HTTP/2", response.StatusCode, response.Proto)
	}
	g.checkReason(t, "no credential: fields dropped from a peer that is not trusted: 1")
	g.checkNothing(t)
}
