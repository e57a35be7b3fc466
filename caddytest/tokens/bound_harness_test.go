// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// thumbprint is that of a certificate (RFC 8705, section 3.1).
func thumbprint(p *testpki.Pair) string {
	sum := sha256.Sum256(p.Cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bound is a token that is bound to a certificate.
func bound(t *testing.T, i *testissuer.Issuer, to *testpki.Pair) string {
	t.Helper()
	return i.Token(t, map[string]any{"cnf": map[string]any{"x5t#S256": thumbprint(to)}, "jti": nil})
}

// boundSite is a site behind TLS that asks clients for a certificate of any CA.
func boundSite(t *testing.T, blocks ...string) *testhandler.TLSSite {
	t.Helper()
	s := testhandler.GuardTLS(t, testpki.NewCA(t, nil, "server", nil), "mode request", blocks...)
	t.Cleanup(func() { checkLog(t, s.Caddy) })
	return s
}

// boundCase is a request with a token, on a connection with a certificate of its own.
type boundCase struct {
	name   string
	from   string // default: a peer that is not trusted
	at     string
	chain  []*testpki.Pair
	token  string
	fields []string
	status int // 0: 200, for alice
	reason string
}

func runBound(t *testing.T, s *testhandler.TLSSite, cases []boundCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := testpki.ClientTLS(s.CA, "localhost", c.chain...)
			config.NextProtos = []string{"http/1.1"}
			conn := tls.Client(s.Dial(t, cmp.Or(c.from, testhandler.StrangerPeer)), config)
			lines := append([]string{"GET /" + c.at + " HTTP/1.1", "Host: localhost"}, c.fields...)
			if c.token != "" {
				lines = append(lines, testhandler.Bearer(c.token))
			}
			if _, err := fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			wantBound(t, s, &c, testhandler.ReadReply(t, bufio.NewReader(conn), "GET").Status)
		})
	}
}

// wantBound compares the result of a request: it goes on as alice's, or does not go on.
func wantBound(t *testing.T, s *testhandler.TLSSite, c *boundCase, status int) {
	t.Helper()
	if want := cmp.Or(c.status, http.StatusOK); status != want {
		t.Errorf("status %d, want %d", status, want)
	}
	s.CheckReason(t, c.reason)
	received := s.Upstream.Take()
	switch {
	case c.status != 0 && len(received) != 0:
		t.Errorf("the upstream received %+v", received)
	case c.status != 0:
	case len(received) != 1 || !strings.HasSuffix(received[0].Header.Get("X-User"), ":alice") || len(received[0].Header["X-User"]) != 1:
		t.Errorf("the upstream received %+v, want one request of alice", received)
	}
}
