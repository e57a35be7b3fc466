// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestRecipeKong(t *testing.T) {
	const name = "kong"
	ca := testpki.NewCA(t, nil, "clients", nil)
	builder := ca.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"ci.example.com"} })
	upstream := testhandler.NewUpstream(t)
	c := start(t, recipe(
		t, name, "http://:8080", "http://:0", "127.0.0.1/32", testhandler.TrustedPeer, "/etc/caddy/client-ca.pem", testpki.PEMFile(t, ca),
		"127.0.0.1:8001", upstream.Addr,
	))
	field := func(pair *testpki.Pair) string { return "X-Client-Cert: " + testpki.EscapedPEM(pair) }
	kongs := func(fields ...string) []string {
		return append(forged(fields...), "X-Consumer-Username: admin", "X-Consumer-Groups: admins", "X-Consumer-Custom-Id: 1", "X-Credential-Identifier: x", "X-Anonymous-Consumer: true")
	}
	guest := http.Header{"X-Consumer-Username": {"guest"}, "X-Consumer-Groups": {"guests"}}
	for _, e := range []testhandler.Exchange{
		{Name: "a consumer", Fields: []string{field(builder)}, Want: received(t, name)},
		{Name: "a consumer who claims to be another one", Fields: kongs(field(builder)), Want: received(t, name)},
		{Name: "a certificate of no consumer", Fields: []string{field(ca.Leaf(t, testpki.Named(testpki.CommonName, "mallory")))}, Status: http.StatusForbidden},
		{Name: "no certificate", Fields: kongs(), Want: guest},
		{Name: "a certificate past the proxy in front", From: testhandler.StrangerPeer, Fields: []string{field(builder)}, Want: guest},
		{Name: "a certificate by another CA", Fields: []string{field(testpki.NewCA(t, nil, "clients", nil).Leaf(t, nil))}, Want: guest},
	} {
		t.Run(e.Name, func(t *testing.T) { exchange(t, c, upstream, e) })
	}
}

// exchange sends a request, and compares all that arrives at the upstream.
func exchange(t *testing.T, c *testhandler.Caddy, upstream *testhandler.Upstream, e testhandler.Exchange) {
	t.Helper()
	guarded := &testhandler.Guarded{Caddy: c, Upstream: upstream}
	guarded.Refused = len(c.Refusals(t))
	from := e.From
	if from == "" {
		from = testhandler.TrustedPeer
	}
	status := e.Status
	if status == 0 {
		status = http.StatusOK
	}
	if got := c.Send(t, from, "GET / HTTP/1.1", e.Fields, ""); got.Status != status {
		t.Errorf("status %d, want %d", got.Status, status)
	}
	if e.Want == nil {
		guarded.CheckNothing(t)
		return
	}
	guarded.CheckReceived(t, testhandler.Received{Line: "GET / HTTP/1.1", Header: testhandler.Proxied(from, e.Want)})
}
