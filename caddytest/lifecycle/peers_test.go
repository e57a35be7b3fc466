// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// trusting is a site with options for which peers are trusted, and more for the site itself.
func trusting(t *testing.T, trust, site string) string {
	t.Helper()
	text := strings.Replace(testhandler.Impersonating(t, ""), "trusted_proxies static "+testhandler.TrustedPeer, trust, 1)
	return strings.Replace(text, "{\n", "{\n"+site+"\n", 1)
}

// CVE-2022-40684 (FortiOS), CVE-2026-46415, CVE-2023-50463 (Caddy plugins): a header that
// claims that the client is a proxy. Only the direct peer of the connection counts.
func TestNoHeaderMakesAPeerTrusted(t *testing.T) {
	headers := map[string][]string{
		"none":                      nil,
		"X-Forwarded-For":           {"X-Forwarded-For: " + testhandler.TrustedPeer},
		"a list of X-Forwarded-For": {"X-Forwarded-For: " + testhandler.TrustedPeer + ", " + testhandler.TrustedPeer, "X-Forwarded-For: 10.0.0.1"},
		"Forwarded":                 {"Forwarded: for=" + testhandler.TrustedPeer + ";by=" + testhandler.TrustedPeer},
		"X-Real-IP":                 {"X-Real-IP: " + testhandler.TrustedPeer},
		"others":                    {"True-Client-IP: " + testhandler.TrustedPeer, "CF-Connecting-IP: " + testhandler.TrustedPeer, "Client-IP: " + testhandler.TrustedPeer, "X-Client-IP: " + testhandler.TrustedPeer},
		"another host":              {"X-Forwarded-Host: localhost", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /"},
		"a health check":            {"User-Agent: kube-probe/1.37", "X-Forwarded-Uri: /healthz"},
		"a forged PROXY header":     {"PROXY: TCP4 " + testhandler.TrustedPeer + " 127.0.0.1 1 2"},
	}
	var cases []testhandler.Exchange
	for name, fields := range headers {
		for _, from := range []string{testhandler.StrangerPeer, "127.0.0.1"} { // loopback is not special
			cases = append(cases, testhandler.Exchange{
				Name: name + " from " + from, From: from, Fields: testhandler.AliceAnd(fields...),
				Status: http.StatusUnauthorized, Reason: testhandler.FromUntrusted,
			})
		}
	}
	for name, global := range map[string]string{
		"with Caddy's defaults":                        "",
		"where Caddy trusts every peer with client_ip": "servers {\ntrusted_proxies static 0.0.0.0/0\nclient_ip_headers X-Forwarded-For X-Real-IP Client-IP\n}",
	} {
		t.Run(name, func(t *testing.T) { testhandler.Guard(t, global, testhandler.Impersonating(t, "")).Run(t, cases) })
	}
	t.Run("where variables name the peer", func(t *testing.T) {
		testhandler.Guard(t, "", trusting(t, "trusted_proxies static "+testhandler.TrustedPeer, `vars {
		trusted_proxy true
		client_ip `+testhandler.TrustedPeer+`
	}`)).Run(t, cases)
	})
}

// The ranges are compared with the peer's address, in any of its spellings.
func TestRanges(t *testing.T) {
	testhandler.Guard(t, "", trusting(t, "trusted_proxies static 127.0.0.8/30", "")).Run(t, []testhandler.Exchange{
		{Name: "the first of a range", From: "127.0.0.8", Fields: testhandler.AliceAnd(), Want: testhandler.As("alice")},
		{Name: "the last of a range", From: "127.0.0.11", Fields: testhandler.AliceAnd(), Want: testhandler.As("alice")},
		{Name: "one before", From: "127.0.0.7", Fields: testhandler.AliceAnd(), Status: http.StatusUnauthorized, Reason: testhandler.FromUntrusted},
		{Name: "one after", From: "127.0.0.12", Fields: testhandler.AliceAnd(), Status: http.StatusUnauthorized, Reason: testhandler.FromUntrusted},
		{Name: "nothing to drop", From: "127.0.0.12", Status: http.StatusUnauthorized, Reason: testhandler.NoCredential},
		{
			Name: "three fields to drop", From: "127.0.0.12", Fields: testhandler.AliceAnd("X-Forwarded-Groups: a", "X-Forwarded~User: b"),
			Status: http.StatusUnauthorized, Reason: "no credential: fields dropped from a peer that is not trusted: 3",
		},
	})
}

// GHSA-7jmw-8259-q9jx (Traefik): on a socket for both families an IPv4 peer may have an
// IPv4-mapped IPv6 address, which no range of IPv4 contains.
func TestListenerForBothFamilies(t *testing.T) {
	probe, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::]:0")
	if err != nil {
		t.Fatalf("listening for both families, which needs IPv6: %v", err)
	}
	probe.Close()
	g := testhandler.Guard(t, "", trusting(t, "trusted_proxies static "+testhandler.TrustedPeer, "bind ::"))
	g.Addr = strings.Replace(g.Addr, "[::]", "127.0.0.1", 1)
	g.Run(t, []testhandler.Exchange{
		{Name: "the trusted proxy", Fields: testhandler.AliceAnd(), Want: testhandler.As("alice")},
		{Name: "a stranger", From: testhandler.StrangerPeer, Fields: testhandler.AliceAnd(), Status: http.StatusUnauthorized, Reason: testhandler.FromUntrusted},
	})
	g.Addr = strings.Replace(g.Addr, "127.0.0.1", "[::1]", 1)
	g.Run(t, []testhandler.Exchange{
		{Name: "a stranger by IPv6", From: "::1", Fields: testhandler.AliceAnd(), Status: http.StatusUnauthorized, Reason: testhandler.FromUntrusted},
	})
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "caddy.sock")
	for _, c := range []struct {
		name, trust string
		want        http.Header
		reason      string
	}{
		{"trusted_proxies_unix", "trusted_proxies_unix", testhandler.As("alice"), ""},
		{"beside ranges", "trusted_proxies_unix\ntrusted_proxies static 10.0.0.1", testhandler.As("alice"), ""},
		{"not trusted by ranges", "trusted_proxies static 127.0.0.0/8 ::1", nil, testhandler.FromUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := testhandler.Guard(t, "", trusting(t, c.trust, "bind unix/"+socket))
			g.Addr = socket
			if c.want != nil {
				c.want = c.want.Clone()
				for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
					c.want[name] = nil // reverse_proxy writes nothing for a peer without an address
				}
			}
			status := http.StatusOK
			if c.want == nil {
				status = http.StatusUnauthorized
			}
			g.Run(t, []testhandler.Exchange{{
				Name: "alice", Fields: testhandler.AliceAnd("X-Forwarded-For: 10.0.0.1"), Want: c.want, Status: status, Reason: c.reason,
			}})
		})
	}
}

// proxyHeader is a PROXY protocol v2 header with a peer's address that its sender chooses.
func proxyHeader(family byte, addresses []byte) string {
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, family)
	header = binary.BigEndian.AppendUint16(header, uint16(len(addresses)))
	return string(append(header, addresses...))
}

func proxyHeader6(source string) string {
	src, dst := netip.MustParseAddr(source).As16(), netip.MustParseAddr("::1").As16()
	return proxyHeader(0x21, append(append(src[:], dst[:]...), 0, 1, 0, 2))
}

func proxyHeaderUnix(source string) string {
	var addresses [216]byte
	copy(addresses[:], source)
	copy(addresses[108:], "/run/caddy.sock")
	return proxyHeader(0x31, addresses[:])
}

// A PROXY header can claim anything about the peer, even that it uses a unix socket, whose
// address Go shows as "@". Only the listener proves that it does.
func TestPROXYHeaders(t *testing.T) {
	const (
		believing = "servers {\nlistener_wrappers {\nproxy_protocol {\nallow 127.0.0.0/8\n}\n}\n}"
		unix      = "trusted_proxies_unix\ntrusted_proxies static " + testhandler.TrustedPeer
	)
	// forwardedFor is what reverse_proxy writes for a peer; nil if the peer has no address
	for _, c := range []struct {
		name, global, trust, header string
		forwardedFor                []string
		want                        http.Header
		reason                      string
	}{
		{name: "a unix socket without a name", header: proxyHeaderUnix(""), reason: testhandler.FromUntrusted},
		{name: "a unix socket named @", header: proxyHeaderUnix("@"), reason: testhandler.FromUntrusted},
		{name: "a unix socket with a path", header: proxyHeaderUnix("/run/oauth2-proxy.sock"), reason: testhandler.FromUntrusted},
		{name: "a local connection", header: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", reason: testhandler.FromUntrusted},
		{name: "an unknown peer", header: "PROXY UNKNOWN\r\n", reason: testhandler.FromUntrusted},
		{name: "another address", header: "PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n", reason: testhandler.FromUntrusted},
		{
			name: "IPv4 mapped into IPv6", header: proxyHeader6("::ffff:" + testhandler.TrustedPeer),
			want: testhandler.As("alice"), forwardedFor: []string{"127.0.0.2"},
		},
		{name: "IPv4 in the last bytes of IPv6", header: proxyHeader6("::" + testhandler.TrustedPeer), reason: testhandler.FromUntrusted},
		{
			name: "the trusted address, which the operator believes", header: "PROXY TCP4 " + testhandler.TrustedPeer + " 127.0.0.1 1 2\r\n",
			want: testhandler.As("alice"), forwardedFor: []string{testhandler.TrustedPeer},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := testhandler.Guard(t, believing, trusting(t, unix, ""))
			conn := g.Dial(t, testhandler.StrangerPeer)
			if _, err := conn.Write([]byte(c.header)); err != nil {
				t.Fatal(err)
			}
			checkOn(t, g, conn, testhandler.SiteHost, c.want, c.forwardedFor, c.reason)
		})
	}
	t.Run("of a peer that is not allowed to send one", func(t *testing.T) {
		g := testhandler.Guard(t, strings.Replace(believing, "127.0.0.0/8", "10.0.0.0/8", 1), trusting(t, unix, ""))
		conn := g.Dial(t, testhandler.StrangerPeer)
		if _, err := fmt.Fprintf(conn, "PROXY TCP4 %s 127.0.0.1 1 2\r\n", testhandler.TrustedPeer); err != nil {
			t.Fatal(err)
		}
		checkOn(t, g, conn, testhandler.SiteHost, nil, nil, testhandler.FromUntrusted)
	})
}

// checkOn sends alice's request on a connection, and compares the result.
func checkOn(t *testing.T, g *testhandler.Guarded, conn net.Conn, host string, want http.Header, forwardedFor []string, reason string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nX-Forwarded-User: alice\r\n\r\n", host); err != nil {
		t.Fatalf("sending the request: %v", err)
	}
	got := testhandler.ReadReply(t, bufio.NewReader(conn), "GET")
	g.CheckReason(t, reason)
	if want == nil {
		if got.Status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", got.Status)
		}
		g.CheckNothing(t)
		return
	}
	header := testhandler.Proxied("", want)
	header["X-Forwarded-For"] = forwardedFor
	g.CheckReceived(t, testhandler.Received{Line: "GET / HTTP/1.1", Header: header})
}
