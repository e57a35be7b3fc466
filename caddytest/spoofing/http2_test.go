// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// withAlice are the fields in which the trusted proxy names alice, and others.
func withAlice(fields ...testhandler.Field) []testhandler.Field {
	return append([]testhandler.Field{{"x-forwarded-user", "alice"}}, fields...)
}

// Over HTTP/2 a handler sees values with their outer blanks, which the HTTP/1.1 to the
// upstream drops: the policy would check another value than the one that arrives.
func TestUntrimmedValuesOverHTTP2(t *testing.T) {
	var cases []testhandler.HTTP2Exchange
	const outer = "begins or ends with a blank"
	for name, value := range map[string]string{
		"a blank before": " admin", "a blank after": "admin ", "blanks around": " admin ", "a tab after": "admin\t",
		"only blanks": "  ", "a reserved name in disguise": " system:masters\t", "a tab alone": "\t",
	} {
		cases = append(cases, testhandler.HTTP2Exchange{
			Name: "the user has " + name, Fields: []testhandler.Field{{"x-forwarded-user", value}},
			Status: http.StatusForbidden, Reason: "forbidden: the user " + outer,
		}, testhandler.HTTP2Exchange{
			Name: "the group has " + name, Fields: withAlice(testhandler.Field{"x-forwarded-groups", value}),
			Status: http.StatusForbidden, Reason: "forbidden: the group " + outer,
		})
	}
	cases = append(
		cases,
		testhandler.HTTP2Exchange{Name: "an empty user", Fields: []testhandler.Field{{"x-forwarded-user", ""}}, Status: 401, Reason: "no credential"},
		testhandler.HTTP2Exchange{Name: "an empty group", Fields: withAlice(testhandler.Field{"x-forwarded-groups", ""}), Want: testhandler.As("alice")},
		testhandler.HTTP2Exchange{Name: "no blanks", Fields: withAlice(testhandler.Field{"x-forwarded-groups", "a b"}), Want: testhandler.As("alice", "a b")},
	)
	testhandler.Guard(t, testhandler.OverH2C, testhandler.Impersonating(t, "")).RunHTTP2(t, cases)
}

func TestSpoofingOverHTTP2(t *testing.T) {
	testhandler.Guard(t, testhandler.OverH2C, testhandler.Impersonating(t, "strip_cookies session")).RunHTTP2(t, []testhandler.HTTP2Exchange{
		{
			Name: "identity of every kind", Fields: withAlice(
				testhandler.Field{"impersonate-user", "admin"}, testhandler.Field{"impersonate-group", "system:masters"}, testhandler.Field{"authorization", "Bearer mine"},
				testhandler.Field{"x-remote-user", "admin"}, testhandler.Field{"impersonate~user", "admin"}, testhandler.Field{"proxy-authorization", "x"},
			),
			Want: testhandler.As("alice"),
		},
		{
			Name: "of a stranger", From: testhandler.StrangerPeer, Fields: withAlice(testhandler.Field{"impersonate-user", "admin"}),
			Status: http.StatusUnauthorized, Reason: "no credential: fields dropped from a peer that is not trusted: 1",
		},
		{
			Name: "two users", Fields: withAlice(testhandler.Field{"x-forwarded-user", "admin"}),
			Status: http.StatusBadRequest, Reason: "malformed: 2 lines of X-Forwarded-User",
		},
		{
			Name: "trailers, announced", Body: []byte("text"),
			Fields:   withAlice(testhandler.Field{"trailer", "x-benign, impersonate-user"}),
			Trailers: []testhandler.Field{{"x-benign", "1"}, {"impersonate-user", "admin"}, {"x-remote-user", "admin"}},
			Want:     testhandler.And(testhandler.As("alice"), "Transfer-Encoding", "chunked"),
		},
		{
			Name: "trailers, not announced", Body: []byte("text"), Fields: withAlice(),
			Trailers: []testhandler.Field{{"impersonate-user", "admin"}, {"authorization", "Bearer x"}},
			Want:     testhandler.And(testhandler.As("alice"), "Transfer-Encoding", "chunked"),
		},
		{
			Name: "cookies, a field each", Fields: withAlice(testhandler.Field{"cookie", "a=1"}, testhandler.Field{"cookie", "session=x"}, testhandler.Field{"cookie", "b=2"}),
			Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1; b=2"),
		},
		{
			Name: "a cookie with blanks around", Fields: withAlice(testhandler.Field{"cookie", "\tsession=x "}), Want: testhandler.As("alice"),
		},
		{
			Name: "a bearer token among subprotocols, untrimmed",
			Fields: withAlice(testhandler.Field{"sec-websocket-protocol", " base64url.bearer.authorization.k8s.io.bWluZQ "},
				testhandler.Field{"sec-websocket-protocol", "a"}),
			Want: testhandler.And(testhandler.As("alice"), "Sec-Websocket-Protocol", "a"),
		},
		{Name: "te", Fields: withAlice(testhandler.Field{"te", "trailers"}), Want: testhandler.And(testhandler.As("alice"), "Te", "trailers")},
	})
}

// HTTP/2 forbids these requests, and they never reach a handler.
func TestRequestsThatHTTP2Forbids(t *testing.T) {
	usual := []testhandler.Field{{":method", "GET"}, {":scheme", "http"}, {":authority", testhandler.SiteHost}, {":path", "/"}}
	cases := []testhandler.HTTP2Exchange{
		{Name: "Connection", Fields: withAlice(testhandler.Field{"connection", "impersonate-user"})},
		{Name: "Connection in another case", Fields: withAlice(testhandler.Field{"Connection", "impersonate-user"})},
		{Name: "Proxy-Connection", Fields: withAlice(testhandler.Field{"proxy-connection", "impersonate-user"})},
		{Name: "Keep-Alive", Fields: withAlice(testhandler.Field{"keep-alive", "x"})},
		{Name: "Upgrade", Fields: withAlice(testhandler.Field{"upgrade", "websocket"})},
		{Name: "Transfer-Encoding", Fields: withAlice(testhandler.Field{"transfer-encoding", "chunked"})},
		{Name: "TE for more than trailers", Fields: withAlice(testhandler.Field{"te", "trailers, impersonate-user"})},
		{Name: "a name in upper case", Fields: withAlice(testhandler.Field{"Impersonate-User", "admin"})},
		{Name: "a name with a line break", Fields: withAlice(testhandler.Field{"x-app\r\nimpersonate-user", "admin"})},
		{Name: "a name with a colon", Fields: withAlice(testhandler.Field{"impersonate-user:", "admin"})},
		{Name: "an empty name", Fields: withAlice(testhandler.Field{"", "admin"})},
		{Name: "a value with a line break", Fields: withAlice(testhandler.Field{"x-app", "a\r\nimpersonate-user: admin"})},
		{Name: "a value with a NUL", Fields: []testhandler.Field{{"x-forwarded-user", "alice\x00"}}},
		{Name: "a second path", Pseudo: append(slices.Clone(usual), testhandler.Field{":path", "/admin"}), Fields: withAlice()},
		{Name: "a second host", Pseudo: append(slices.Clone(usual), testhandler.Field{":authority", "other"}), Fields: withAlice()},
		{Name: "a pseudo-field after others", Fields: withAlice(testhandler.Field{":authority", "other"})},
		{Name: "an unknown pseudo-field", Pseudo: append(slices.Clone(usual), testhandler.Field{":user", "admin"}), Fields: withAlice()},
		{Name: "an identity as pseudo-field", Pseudo: append(slices.Clone(usual), testhandler.Field{":impersonate-user", "admin"}), Fields: withAlice()},
		{
			Name: "a credential as trailer", Body: []byte("text"), Fields: withAlice(testhandler.Field{"trailer", "x-benign"}),
			Trailers: []testhandler.Field{{"authorization", "Bearer x"}},
		},
		{Name: "CONNECT with a protocol", Pseudo: []testhandler.Field{
			{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", testhandler.SiteHost}, {":path", "/"},
		}, Fields: withAlice()},
	}
	for i := range cases {
		cases[i].Stream = true
	}
	g := testhandler.Guard(t, testhandler.OverH2C, testhandler.Impersonating(t, ""))
	g.RunHTTP2(t, cases)
	g.RunHTTP2(t, []testhandler.HTTP2Exchange{
		{
			Name: "CONNECT", Pseudo: []testhandler.Field{{":method", "CONNECT"}, {":authority", testhandler.SiteHost + ":80"}}, Fields: withAlice(),
			Status: http.StatusMethodNotAllowed, Reason: "method not allowed: CONNECT",
		},
		{
			Name: "TRACE", Pseudo: append([]testhandler.Field{{":method", "TRACE"}}, usual[1:]...), Fields: withAlice(),
			Status: http.StatusMethodNotAllowed, Reason: "method not allowed: TRACE",
		},
	})
}

// The same with a widely used client: net/http's own.
func TestSpoofingOverHTTP2WithALibrary(t *testing.T) {
	g := testhandler.Guard(t, testhandler.OverH2C, testhandler.Impersonating(t, ""))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Addr+"/", io.NopCloser(strings.NewReader("text")))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = testhandler.SiteHost
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
	g.CheckReason(t, "no credential: fields dropped from a peer that is not trusted: 1")
	g.CheckNothing(t)
}
