// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// certBlock is a kube_identity for requests to /at, which believes the certificates of a
// trusted proxy. So one Caddy can have as many configurations as a table needs.
func certBlock(at, preset, pool string, options ...string) string {
	return fmt.Sprintf(`	kube_identity /%s {
		trusted_proxies static %s
		client_cert %s {
			trust_pool watched_file %s
			%s
		}
		inject front_proxy
	}
`, at, testhandler.TrustedPeer, preset, pool, strings.Join(options, "\n\t\t\t"))
}

// certGuard starts Caddy with the blocks.
func certGuard(t *testing.T, blocks ...string) *testhandler.Guarded {
	t.Helper()
	return testhandler.Guard(t, "servers {\nmax_header_size 64KB\n}", "http://:0 {\n"+strings.Join(blocks, "")+"\treverse_proxy %[1]s\n}\n")
}

// certCase is one request to one configuration, and its result.
type certCase struct {
	name   string
	at     string
	fields []string
	status int
	reason string
	want   http.Header // that reaches the upstream beside reverse_proxy's own; nil: the request does not
}

func runCerts(t *testing.T, g *testhandler.Guarded, cases []certCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g.Exchange(t, &testhandler.Exchange{
				Line: "GET /" + c.at + " HTTP/1.1", Fields: c.fields, Status: c.status, Reason: c.reason, Want: c.want,
			})
		})
	}
}
