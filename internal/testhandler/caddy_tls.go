// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// TLSSite is a site whose clients show certificates in the handshake. The listener asks for
// them in some mode; the source verifies them again, whatever the mode.
type TLSSite struct {
	*Guarded

	CA *testpki.Pair // of the server's certificate
}

// GuardTLS starts Caddy with blocks behind TLS. ca signs the server's certificate.
func GuardTLS(tb testing.TB, ca *testpki.Pair, clientAuth string, blocks ...string) *TLSSite {
	tb.Helper()
	server := ca.Leaf(tb, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	certFile, keyFile := testpki.PEMFile(tb, server), testpki.KeyFile(tb, server)
	site := fmt.Sprintf("https://localhost:0 {\n\ttls %s %s {\n\t\tclient_auth {\n%s\n\t\t}\n\t}\n", certFile, keyFile, clientAuth)
	return &TLSSite{Guard(tb, "", site+strings.Join(blocks, "")+"\treverse_proxy %[1]s\n}\n"), ca}
}

// TLSExchange is a request on a connection with a certificate.
type TLSExchange struct {
	Name   string
	At     string
	Chain  []*testpki.Pair
	Fields []string
	Status int
	Reason string
	Want   http.Header
}

// Run sends every request and compares the results.
func (s *TLSSite) Run(t *testing.T, cases []TLSExchange) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { s.ask(t, &c) })
	}
}

func (s *TLSSite) ask(tb testing.TB, c *TLSExchange) {
	tb.Helper()
	config := testpki.ClientTLS(s.CA, "localhost", c.Chain...)
	config.NextProtos = []string{"http/1.1"}
	conn := tls.Client(s.Dial(tb, StrangerPeer), config)
	line := "GET /" + c.At + " HTTP/1.1"
	lines := append([]string{line, "Host: localhost"}, c.Fields...)
	if _, err := fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		tb.Fatalf("sending the request: %v", err)
	}
	got := ReadReply(tb, bufio.NewReader(conn), "GET")
	if got.Status != c.Status {
		tb.Errorf("status %d, want %d", got.Status, c.Status)
	}
	s.CheckReason(tb, c.Reason)
	if c.Want == nil {
		s.CheckNothing(tb)
		return
	}
	header := Proxied(StrangerPeer, And(c.Want, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "localhost", "Host", "localhost"))
	s.CheckReceived(tb, Received{Line: line, Header: header})
}
