// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The request to the API server, and the peers that send it.
const (
	ReviewPath = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	ReviewBody = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`

	TrustedPeer   = "127.0.0.1"
	UntrustedPeer = "127.0.0.2"
)

// Ask asks the API server, through Caddy and as the trusted peer, which user it sees.
func Ask(tb testing.TB, c *testhandler.Caddy, fields ...string) Answer {
	tb.Helper()
	return AskFrom(tb, c, TrustedPeer, fields, nil)
}

// AskFrom is Ask from a given address and with trailers. Fields and trailers are sent
// byte for byte.
func AskFrom(tb testing.TB, c *testhandler.Caddy, from string, fields, trailers []string) Answer {
	tb.Helper()
	mark := rand.Text()
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", len(ReviewBody), ReviewBody, Lines(trailers))
	fields = append([]string{"Content-Type: application/json", "Transfer-Encoding: chunked"}, fields...)
	answer := Send(tb, c.Dial(tb, from), "POST "+ReviewPath+"?mark="+mark, fields, chunks)
	answer.Mark = mark
	return answer
}

// Get gets a path, through Caddy and as the trusted peer.
func Get(tb testing.TB, c *testhandler.Caddy, path string, fields ...string) Answer {
	tb.Helper()
	return Send(tb, c.Dial(tb, TrustedPeer), "GET "+path, fields, "")
}

// Send sends a request as it is given, and reads the answer.
func Send(tb testing.TB, conn net.Conn, line string, fields []string, body string) Answer {
	tb.Helper()
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: kube.example\r\n"+Lines(fields)+"\r\n"+body); err != nil {
		tb.Fatalf("asking: %v", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatalf("reading the answer: %v", err)
	}
	defer conn.Close()
	return Read(tb, response)
}

// Lines ends every field with a line break.
func Lines(fields []string) string {
	var lines strings.Builder
	for _, field := range fields {
		lines.WriteString(field + "\r\n")
	}
	return lines.String()
}

// Direct asks the API server itself, without Caddy, which user it sees.
func Direct(tb testing.TB, header http.Header) Answer {
	tb.Helper()
	return Call(tb, http.MethodPost, ReviewPath, header, ReviewBody)
}

// Call sends a request to the API server itself.
func Call(tb testing.TB, method, path string, header http.Header, body string) Answer {
	tb.Helper()
	server := Server(tb)
	client, err := server.Client("", "")
	if err != nil {
		tb.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(tb.Context(), method, server.URL+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	return Read(tb, response)
}

// Developer is "X-Forwarded-User: alice" with the group developers, as the API server
// sees that user.
func Developer() apiserver.AuditUser {
	return apiserver.AuditUser{Username: "alice", Groups: []string{"developers", "system:authenticated"}}
}
