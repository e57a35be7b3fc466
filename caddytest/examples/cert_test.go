// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/x509"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// certExample is an example for client certificates that runs unchanged.
type certExample struct {
	site     string
	upstream *testhandler.Upstream
}

// certExampleRun starts an example with an upstream, and the pool of its CAs.
func certExampleRun(t *testing.T, name, pool string, env map[string]string) *certExample {
	t.Helper()
	return certExampleRunFile(t, "examples/"+name+".caddyfile", pool, env)
}

// certExampleRunFile is certExampleRun for a file anywhere.
func certExampleRunFile(t *testing.T, file, pool string, env map[string]string) *certExample {
	t.Helper()
	upstream := testhandler.NewUpstream(t)
	port := freeport.Ports(t, 1)[0]
	all := map[string]string{
		"ADDRESS": "http://:" + port, "BIND": "127.0.0.1", "UPSTREAM": upstream.Addr,
		"KUBE_TOKEN": "examples/quickstart/token", "CLIENT_CA": pool,
	}
	maps.Copy(all, env)
	site := "127.0.0.1:" + port
	quickstartRun(t, program.Path(t), []string{"run", "--config", file}, all, site)
	return &certExample{site, upstream}
}

// certExampleCase is one request, and the whole identity that the upstream sees.
type certExampleCase struct {
	name   string
	from   string // an address; "" is 127.0.0.1, which the examples trust
	method string // "" is GET
	fields []string
	status int
	want   http.Header // nil: no request reaches the upstream
}

func (e *certExample) ask(t *testing.T, cases []certExampleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.from == "" {
				c.from = "127.0.0.1"
			}
			r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+e.site+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range c.fields {
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Add(name, value)
			}
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
			e.do(t, &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, r, c.status, c.want)
		})
	}
}

// do sends a request, and compares the result.
func (e *certExample) do(t *testing.T, transport *http.Transport, r *http.Request, status int, want http.Header) {
	t.Helper()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode != status {
		t.Errorf("the status is %d, want %d", response.StatusCode, status)
	}
	received := e.upstream.Take()
	if want == nil {
		if len(received) > 0 {
			t.Errorf("the upstream received %v", received)
		}
		return
	}
	if len(received) != 1 {
		t.Fatalf("the upstream received %d requests: %v", len(received), received)
	}
	got := received[0].Header
	for _, name := range []string{
		"Accept-Encoding", "Host", "User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	} {
		got.Del(name) // these are not about the user
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the upstream received\n%v, want\n%v", got, want)
	}
}

// impersonated is the header that an upstream sees for an impersonated user.
func impersonated(user string, groups ...string) http.Header {
	header := http.Header{
		"Authorization":    {"Bearer not-a-token.only-for-the-quickstart"},
		"Impersonate-User": {user},
	}
	if len(groups) > 0 {
		header["Impersonate-Group"] = groups
	}
	return header
}

// claimsBesides adds fields in which a client claims to be another user.
func claimsBesides(fields ...string) []string {
	return append(fields, "Authorization: Bearer stolen", "Impersonate-User: admin", "Impersonate-Group: system:masters")
}

// TestExampleAWS: the load balancer verifies nothing, and sends the intermediates.
func TestExampleAWS(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	alice := mid.Leaf(t, func(c *x509.Certificate) {
		c.EmailAddresses = []string{"alice@example.com"}
		c.Subject.OrganizationalUnit = []string{"developers", "chess-club"}
	})
	past := mid.Leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	stranger := testpki.NewCA(t, nil, "root", nil).Leaf(t, nil)
	field := func(chain ...*testpki.Pair) string { return "X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(chain...) }
	want := impersonated("alice@example.com", "developers")
	pool := testpki.PEMFile(t, root)
	trusted := map[string]string{"TRUSTED_PROXIES": "127.0.0.1/32"}

	certExampleRun(t, "aws-alb", pool, trusted).ask(t, []certExampleCase{
		{name: "alice", fields: []string{field(alice, mid, root)}, status: http.StatusOK, want: want},
		{name: "alice without the root", fields: []string{field(alice, mid)}, status: http.StatusOK, want: want},
		{name: "alice cannot be another user", fields: claimsBesides(field(alice, mid)), status: http.StatusOK, want: want},
		{name: "alice without the intermediate", fields: []string{field(alice)}, status: http.StatusUnauthorized},
		{name: "no certificate", fields: claimsBesides(), status: http.StatusUnauthorized},
		{name: "a certificate that has expired", fields: []string{field(past, mid)}, status: http.StatusUnauthorized},
		{name: "a certificate by another CA", fields: []string{field(stranger)}, status: http.StatusUnauthorized},
		{name: "an authority's certificate", fields: []string{field(mid, root)}, status: http.StatusUnauthorized},
		{name: "two fields", fields: []string{field(alice, mid), field(alice, mid)}, status: http.StatusBadRequest},
		{name: "past the load balancer", from: "127.0.0.2", fields: []string{field(alice, mid)}, status: http.StatusUnauthorized},
	})

	t.Run("strict", func(t *testing.T) {
		trusted["REVOCATION"] = "strict"
		certExampleRun(t, "aws-alb", pool, trusted).ask(t, []certExampleCase{
			{name: "a certificate without a responder", fields: []string{field(alice, mid)}, status: http.StatusServiceUnavailable},
		})
	})
}

// TestExampleEnvoy: only the element that the nearest Envoy wrote counts.
func TestExampleEnvoy(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	alice, mallory := mid.Leaf(t, nil), mid.Leaf(t, testpki.Named(3, "mallory"))
	field := func(elements ...string) []string {
		return []string{"X-Forwarded-Client-Cert: " + strings.Join(elements, ",")}
	}
	want := impersonated("alice", "developers")
	certExampleRun(t, "envoy", testpki.PEMFile(t, root), nil).ask(t, []certExampleCase{
		{name: "alice", fields: field(testpki.XFCC(alice, mid)), status: http.StatusOK, want: want},
		{name: "alice behind an element that she wrote herself", fields: field(testpki.XFCC(mallory, mid), testpki.XFCC(alice, mid)), status: http.StatusOK, want: want},
		{name: "no certificate", fields: claimsBesides(), status: http.StatusUnauthorized},
		{
			name:   "an element with a name from a certificate, without quotes, and another one after it",
			fields: field(testpki.XFCC(mallory, mid)+";URI=spiffe://example.com/mallory", testpki.XFCC(alice, mid)), status: http.StatusBadRequest,
		},
		{name: "past Envoy", from: "127.0.0.2", fields: field(testpki.XFCC(alice, mid)), status: http.StatusUnauthorized},
	})
}

// TestExampleKong: the result of Kong's configuration in the example's comment.
func TestExampleKong(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	builder := mid.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"ci.example.com"} })
	stranger := testpki.NewCA(t, nil, "root", nil).Leaf(t, nil)
	field := func(n *testpki.Pair) string { return "X-Client-Cert: " + testpki.EscapedPEM(n) }
	consumer := func(user, group string) http.Header {
		return http.Header{"X-Consumer-Username": {user}, "X-Consumer-Groups": {group}}
	}
	certExampleRun(t, "kong", testpki.PEMFile(t, mid), nil).ask(t, []certExampleCase{
		{name: "a consumer by the CN", fields: []string{field(mid.Leaf(t, nil))}, status: http.StatusOK, want: consumer("alice", "developers")},
		{
			name: "a consumer by the SAN, whose CN says alice", fields: []string{field(builder)},
			status: http.StatusOK, want: consumer("builder", "robots"),
		},
		{
			name:   "a client that knows Kong's fields",
			fields: []string{field(builder), "X-Consumer-Username: admin", "X-Consumer-Custom-ID: 1", "X-Anonymous-Consumer: true"},
			status: http.StatusOK, want: consumer("builder", "robots"),
		},
		{
			name: "a certificate of no consumer", fields: []string{field(mid.Leaf(t, testpki.Named(3, "mallory")))},
			status: http.StatusForbidden,
		},
		{name: "no certificate", fields: claimsBesides(), status: http.StatusOK, want: consumer("guest", "guests")},
		{name: "a bad certificate", fields: []string{field(stranger)}, status: http.StatusOK, want: consumer("guest", "guests")},
		{name: "past the proxy", from: "127.0.0.2", fields: []string{field(builder)}, status: http.StatusOK, want: consumer("guest", "guests")},
	})
}
