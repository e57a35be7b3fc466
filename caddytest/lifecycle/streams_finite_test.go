// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A user downloads or uploads a file, and the token expires meanwhile: the file is whole, as
// it is with kube-apiserver. Where the response may go on for ever, it ends, and a line of
// the log says why.
func TestAFiniteResponseOutlivesTheCredential(t *testing.T) {
	const lifetime, pause = "300ms", 120 * time.Millisecond
	slowly := func(conn net.Conn, parts ...string) {
		for _, part := range parts {
			time.Sleep(pause)
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	}
	part := strings.Repeat("x", 20)
	parts := []string{part, part, part, part, part}
	whole := strings.Join(parts, "")
	respond := func(conn net.Conn, _ *bufio.Reader, request testhandler.Received) bool {
		switch _, kind, _ := strings.Cut(request.Line, "/"); strings.Fields(kind)[0] {
		case "download":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			slowly(conn, parts...)
		case "early-hints":
			_, _ = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			slowly(conn, parts...)
		case "upload":
			slowly(conn, "", "", "", "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n", "done")
		case "late":
			slowly(conn, "", "", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "14\r\n"+part+"\r\n", "0\r\n\r\n")
		case "chunked":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			slowly(conn, "14\r\n"+part+"\r\n", "14\r\n"+part+"\r\n", "14\r\n"+part+"\r\n", "14\r\n"+part+"\r\n", "14\r\n"+part+"\r\n", "0\r\n\r\n")
		case "until-closed":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			slowly(conn, parts...)
		}
		return false
	}
	for _, c := range []struct {
		path, options, want string
		cut                 bool
	}{
		{"download", "", whole, false},
		{"early-hints", "", whole, false},
		{"upload", "", "done", false},
		{"late", "", part, true}, // the response to an upload, without a length, after the expiry
		{"chunked", "", whole, true},
		{"until-closed", "", whole, true},
		{"chunked", "keep_streams", whole, false},
		{"download", "strip_cookies session", whole, false},
		{"chunked", "strip_cookies session", whole, true},
	} {
		t.Run(c.path+" "+c.options, func(t *testing.T) {
			g := testhandler.GuardUpstream(t, testhandler.NewUpstreamWith(t, respond), "", guests(t, "test_expiring "+lifetime, c.options))
			conn := g.Dial(t, testhandler.StrangerPeer)
			defer conn.Close()
			testhandler.WriteRequest(t, conn, "GET /"+c.path+" HTTP/1.1", nil, "")
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			for err == nil && response.StatusCode == http.StatusEarlyHints {
				response, err = http.ReadResponse(reader, nil)
			}
			if err != nil {
				t.Fatalf("reading the response: %v", err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if cut := err != nil || string(got) != c.want; cut != c.cut {
				t.Errorf("got %d bytes of %d, %v; cut: %v, want %v", len(got), len(c.want), err, cut, c.cut)
			}
			var ends []testhandler.LogLine
			for _, line := range g.Log(t) {
				if line.Logger == "http.handlers.kube_identity" && line.Message == "stream ended" {
					ends = append(ends, line)
				}
			}
			if c.cut != (len(ends) == 1 && ends[0].Reason == "the credential has expired") || !c.cut && len(ends) > 0 {
				t.Errorf("the log says %+v", ends)
			}
		})
	}
}
