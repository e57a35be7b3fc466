// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

const (
	trustedPeer  = "127.0.0.2"
	strangerPeer = "127.0.0.3"
	siteHost     = "dash.example"
	ownToken     = "the-proxys-own-token"
)

// exchange is one request as it stands on the wire, and all that may come of it.
type exchange struct {
	name   string
	from   string   // the peer's address; "" is the trusted proxy
	line   string   // the request line; "" is "GET / HTTP/1.1"
	fields []string // the lines of the header besides Host
	body   string

	status int    // for the client; 0 is 200
	reason string // logged for a request that is refused; "" for one that goes on

	// What the upstream receives, whole: want besides what reverse_proxy writes itself
	// (which it may replace, or remove with nil), and never a trailer.
	want     http.Header
	wantLine string // "" is line
	wantBody string
}

// guarded is a running Caddy with kube_identity ahead of an upstream.
type guarded struct {
	*caddytest.Caddy

	upstream *caddytest.Upstream
	refused  int // refusals in the log that have been looked at
}

// guard starts Caddy with one site. Its text has %[1]s for the upstream.
func guard(t *testing.T, global, site string) *guarded {
	t.Helper()
	upstream := caddytest.NewUpstream(t)
	return &guarded{Caddy: caddytest.Start(t, global, fmt.Sprintf(site, upstream.Addr)), upstream: upstream}
}

// impersonating is a site that injects impersonation for whom a trusted proxy names in
// X-Forwarded-User and X-Forwarded-Groups. options go into the block of kube_identity.
func impersonating(t *testing.T, options string) string {
	t.Helper()
	return `http://:0 {
	kube_identity {
		trusted_proxies static ` + trustedPeer + `
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups
		}
		` + options + `
		inject impersonation {
			token_file ` + tokenFile(t) + `
		}
	}
	reverse_proxy %[1]s
}
`
}

// tokenFile writes the proxy's own token.
func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(ownToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// as is what impersonation writes for a user.
func as(user string, groups ...string) http.Header {
	header := http.Header{"Authorization": {"Bearer " + ownToken}, "Impersonate-User": {user}}
	if len(groups) > 0 {
		header["Impersonate-Group"] = groups
	}
	return header
}

// and is a header with more fields.
func and(header http.Header, more ...string) http.Header {
	header = header.Clone()
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = append(header[more[i]], more[i+1])
	}
	return header
}

// aliceAnd are the lines in which the trusted proxy names alice, and others.
func aliceAnd(fields ...string) []string {
	return append([]string{"X-Forwarded-User: alice"}, fields...)
}

// run sends every request and compares what came of it.
func (g *guarded) run(t *testing.T, exchanges []exchange) {
	t.Helper()
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) { g.exchange(t, &e) })
	}
}

func (g *guarded) exchange(t *testing.T, e *exchange) {
	t.Helper()
	e.from = orElse(e.from, trustedPeer)
	e.line = orElse(e.line, "GET / HTTP/1.1")
	got := g.send(t, e.from, e.line, e.fields, e.body)
	if e.status == 0 {
		e.status = http.StatusOK
	}
	if got.status != e.status {
		t.Errorf("status %d, want %d", got.status, e.status)
	}
	if e.reason != "" && got.text != "" {
		t.Errorf("the client learns %q", got.text)
	}
	g.checkReason(t, e.reason)
	if e.want == nil {
		g.checkNothing(t)
		return
	}
	g.checkReceived(t, caddytest.Received{
		Line:   orElse(e.wantLine, e.line),
		Header: proxied(e.from, e.want),
		Body:   e.wantBody,
	})
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	text   string
}

// send writes a request byte by byte as given, and reads the answer.
func (g *guarded) send(t *testing.T, from, line string, fields []string, body string) answer {
	t.Helper()
	conn := g.Dial(t, from)
	defer conn.Close()
	writeRequest(t, conn, line, fields, body)
	return readAnswer(t, bufio.NewReader(conn), line)
}

func writeRequest(t *testing.T, conn net.Conn, line string, fields []string, body string) {
	t.Helper()
	lines := append([]string{line, "Host: " + siteHost}, fields...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatalf("sending the request: %v", err)
	}
}

// readAnswer reads one response with its body.
func readAnswer(t *testing.T, reader *bufio.Reader, line string) answer {
	t.Helper()
	method, _, _ := strings.Cut(line, " ")
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// proxied is a header that arrives at the upstream: fields, and what reverse_proxy
// writes itself.
func proxied(from string, fields http.Header) http.Header {
	header := http.Header{
		"Host":              {siteHost},
		"Accept-Encoding":   {"gzip"},
		"Via":               {"1.1 Caddy"},
		"X-Forwarded-For":   {from},
		"X-Forwarded-Host":  {siteHost},
		"X-Forwarded-Proto": {"http"},
	}
	maps.Copy(header, fields)
	maps.DeleteFunc(header, func(_ string, values []string) bool { return values == nil })
	return header
}

// checkReceived compares the only request that reached the upstream, all of it.
func (g *guarded) checkReceived(t *testing.T, want caddytest.Received) {
	t.Helper()
	received := g.upstream.Take()
	if len(received) != 1 {
		t.Fatalf("the upstream received %d requests, want 1: %+v", len(received), received)
	}
	if want.Trailer == nil {
		want.Trailer = http.Header{}
	}
	if got := received[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("the upstream received\n%+v\nwant\n%+v", got, want)
	}
}

func (g *guarded) checkNothing(t *testing.T) {
	t.Helper()
	if received := g.upstream.Take(); len(received) > 0 {
		t.Errorf("the upstream received %+v, want nothing", received)
	}
}

// checkReason compares what the log says of the last request: why it was refused, or
// nothing. Of a reason that ends with "…" the beginning is compared.
func (g *guarded) checkReason(t *testing.T, want string) {
	t.Helper()
	refusals := g.Refusals(t)
	fresh := refusals[g.refused:]
	g.refused = len(refusals)
	switch {
	case want == "" && len(fresh) == 0:
	case want == "":
		t.Errorf("refused: %+v", fresh)
	case len(fresh) != 1:
		t.Errorf("%d refusals in the log, want 1: %+v", len(fresh), fresh)
	case strings.HasSuffix(want, "…") && strings.HasPrefix(fresh[0].Reason, strings.TrimSuffix(want, "…")):
	case fresh[0].Reason != want:
		t.Errorf("refused: %s\nwant: %s", fresh[0].Reason, want)
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
