// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/openshift"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// The name in a field counts only together with Caddy's certificate.
func TestUpstreamOpenShiftBelievesTheCertificateOnly(t *testing.T) {
	p := newOAuth(t)
	other := testpki.NewCA(t, nil, "proxy ca", nil)
	for what, test := range map[string]struct {
		proxy    *testpki.Pair
		status   int
		location string
	}{
		"the proxy":                          {p.proxy, http.StatusFound, openshift.Callback},
		"another of the names":               {p.proxies.Leaf(t, testpki.Named(testpki.CommonName, "other-proxy")), http.StatusFound, openshift.Callback},
		"no certificate":                     {nil, http.StatusFound, "http://" + testhandler.SiteHost + "/login-proxy/"},
		"a name that is not listed":          {p.proxies.Leaf(t, testpki.Named(testpki.CommonName, "mallory")), http.StatusUnauthorized, ""},
		"another CA of the same name":        {other.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy")), http.StatusUnauthorized, ""},
		"a certificate for servers":          {p.proxies.Leaf(t, forServers("auth-proxy")), http.StatusUnauthorized, ""},
		"the name as a DNS name only":        {p.proxies.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"auth-proxy"} }), http.StatusUnauthorized, ""},
		"an expired certificate of the same": {p.proxies.Leaf(t, expiredAs("auth-proxy")), http.StatusUnauthorized, ""},
	} {
		t.Run(what, func(t *testing.T) {
			g := p.guard(t, p.at(t, "login-proxy", oauthPassword, oauthByName, test.proxy))
			got := g.Send(t, testhandler.TrustedPeer, "GET /login-proxy/oauth/authorize?"+openshift.Query("x")+" HTTP/1.1", []string{oauthBasic}, "")
			location := got.Header.Get("Location")
			if got.Status != test.status || !strings.HasPrefix(location, test.location) || test.location == "" && location != "" {
				t.Errorf("status %d, Location = %q, want %d, %q", got.Status, location, test.status, test.location)
			}
			p.WantOnly(t, "GET /oauth/authorize?"+openshift.Query("x"), p.received(http.Header{"X-Remote-User": {"alice"}}))
		})
	}
}

// The other side: this Caddy treats such a proxy as the OAuth server does.
func TestUpstreamOpenShiftATrustedProxyByItsCertificate(t *testing.T) {
	root, proxies, other := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "proxy ca", nil), testpki.NewCA(t, nil, "proxy ca", nil)
	mid := testpki.NewCA(t, proxies, "between", nil)
	block := "\tkube_identity {\n\t\ttrusted_proxy_cert {\n\t\t\ttrust_pool file " + testpki.PEMFile(t, proxies) +
		"\n\t\t\tallowed_names auth-proxy\n\t\t}\n\t\tforwarded openshift\n\t\tinject openshift_oauth\n\t}\n"
	both := strings.Replace(block, "kube_identity {", "kube_identity /both {\n\t\ttrusted_proxies static "+testhandler.TrustedPeer, 1)
	s := testhandler.GuardTLS(t, root, "mode request", both, strings.Replace(block, "kube_identity {", "kube_identity /x {", 1))
	fields := []string{"X-Remote-User: alice", "X-Remote-User-Email: alice@example.com", "X-Remote-User-Display-Name: Alice A", "X-Remote-User-Login: ali"}
	want := http.Header{
		"X-Remote-User": {"alice"}, "X-Remote-User-Email": {"alice@example.com"},
		"X-Remote-User-Display-Name": {"Alice A"}, "X-Remote-User-Login": {"ali"},
	}
	good, deep := proxies.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy")), mid.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy"))
	const (
		dropped = "no credential: fields dropped from a peer that is not trusted: 4: "
		verify  = dropped + "verifying the peer's TLS client certificate: …"
	)
	no := func(name, reason string, chain ...*testpki.Pair) testhandler.TLSExchange {
		return testhandler.TLSExchange{Name: name, At: "x", Chain: chain, Fields: fields, Status: http.StatusUnauthorized, Reason: reason}
	}
	s.Run(t, []testhandler.TLSExchange{
		{Name: "the proxy", At: "x", Chain: []*testpki.Pair{good}, Fields: fields, Status: 200, Want: want},
		{Name: "with the intermediate", At: "x", Chain: []*testpki.Pair{deep, mid}, Fields: fields, Status: 200, Want: want},
		{Name: "groups are not part of it", At: "x", Chain: []*testpki.Pair{good}, Fields: testhandler.With(fields, "X-Remote-Group: ops", "X-Remote-Uid: 1"), Status: 200, Want: want},
		{Name: "two users", At: "x", Chain: []*testpki.Pair{good}, Fields: testhandler.With(fields, "X-Remote-User: bob"), Status: 400, Reason: "…"},
		{Name: "no user", At: "x", Chain: []*testpki.Pair{good}, Fields: fields[1:], Status: 401, Reason: "no credential"},
		{Name: "from an address that is not a proxy's", At: "both", Chain: []*testpki.Pair{good}, Fields: fields, Status: 401, Reason: strings.TrimSuffix(dropped, ": ")},
		no("no certificate", dropped+"the peer has no TLS client certificate"),
		no("another CA of the same name", verify, other.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy"))),
		no("its own CA", verify, testpki.Sign(t, nil, testpki.LeafKey(t), testpki.Named(testpki.CommonName, "auth-proxy"))),
		no("the listener's CA", verify, root.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy"))),
		no("another name", dropped+`the peer's TLS client certificate has common name "mallory", which is not allowed`, proxies.Leaf(t, testpki.Named(testpki.CommonName, "mallory"))),
		no("the name in another case", dropped+"…", proxies.Leaf(t, testpki.Named(testpki.CommonName, "Auth-Proxy"))),
		no("two names", dropped+"the peer's TLS client certificate has 2 common names", proxies.Leaf(t, testpki.Named(testpki.CommonName, "mallory", testpki.CommonName, "auth-proxy"))),
		no("the name as a DNS name only", dropped+"…", proxies.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"auth-proxy"} })),
		no("expired", verify, proxies.Leaf(t, expiredAs("auth-proxy"))),
		no("for servers only", verify, proxies.Leaf(t, forServers("auth-proxy"))),
		no("without the intermediate", verify, deep),
		no("a good one that is not its own", verify, other.Leaf(t, testpki.Named(testpki.CommonName, "auth-proxy")), good),
	})
}

// A certificate is verified for each request, and not once for a connection that stays open.
func TestUpstreamOpenShiftACertificateThatExpiresOnAnOpenConnection(t *testing.T) {
	root, proxies := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "proxy ca", nil)
	s := testhandler.GuardTLS(t, root, "mode request", "\tkube_identity {\n\t\ttrusted_proxy_cert {\n\t\t\ttrust_pool file "+testpki.PEMFile(t, proxies)+
		"\n\t\t\tallowed_names auth-proxy\n\t\t}\n\t\tforwarded openshift\n\t\tinject openshift_oauth\n\t}\n")
	end := time.Now().Add(3 * time.Second).Truncate(time.Second)
	proxy := proxies.Leaf(t, func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "auth-proxy", end })
	conn := tls.Client(s.Dial(t, testhandler.StrangerPeer), testpki.ClientTLS(s.CA, "localhost", proxy))
	reader := bufio.NewReader(conn)
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: alice\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := testhandler.ReadReply(t, reader, "GET"); got.Status != status {
			t.Errorf("status %d, want %d", got.Status, status)
		}
		if n := len(s.Upstream.Take()); (n == 1) != (status == http.StatusOK) {
			t.Errorf("%d requests reached the upstream", n)
		}
		time.Sleep(time.Until(end.Add(1500 * time.Millisecond)))
	}
}
