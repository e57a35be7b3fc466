// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

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

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// trusting is a site with what says who is trusted, and more for the site itself.
func trusting(t *testing.T, trust, site string) string {
	t.Helper()
	text := strings.Replace(impersonating(t, ""), "trusted_proxies static "+trustedPeer, trust, 1)
	return strings.Replace(text, "{\n", "{\n"+site+"\n", 1)
}

const (
	untrusted = "no credential: fields dropped from a peer that is not trusted: 1"
	nobody    = "no credential"
)

// CVE-2022-40684 (FortiOS), CVE-2026-46415, CVE-2023-50463 (Caddy plugins): a header
// says that the client is a proxy. Only the direct peer of the connection counts.
func TestNoHeaderMakesAPeerTrusted(t *testing.T) {
	headers := map[string][]string{
		"none":                      nil,
		"X-Forwarded-For":           {"X-Forwarded-For: " + trustedPeer},
		"a list of X-Forwarded-For": {"X-Forwarded-For: " + trustedPeer + ", " + trustedPeer, "X-Forwarded-For: 10.0.0.1"},
		"Forwarded":                 {"Forwarded: for=" + trustedPeer + ";by=" + trustedPeer},
		"X-Real-IP":                 {"X-Real-IP: " + trustedPeer},
		"others":                    {"True-Client-IP: " + trustedPeer, "CF-Connecting-IP: " + trustedPeer, "Client-IP: " + trustedPeer, "X-Client-IP: " + trustedPeer},
		"a host of its own":         {"X-Forwarded-Host: localhost", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /"},
		"a health check":            {"User-Agent: kube-probe/1.37", "X-Forwarded-Uri: /healthz"},
		"a forged PROXY header":     {"PROXY: TCP4 " + trustedPeer + " 127.0.0.1 1 2"},
	}
	var cases []exchange
	for name, fields := range headers {
		for _, from := range []string{strangerPeer, "127.0.0.1"} { // loopback is nothing special
			cases = append(cases, exchange{
				name: name + " from " + from, from: from, fields: aliceAnd(fields...),
				status: http.StatusUnauthorized, reason: untrusted,
			})
		}
	}
	for name, global := range map[string]string{
		"with Caddy's defaults":                       "",
		"where Caddy trusts everybody with client_ip": "servers {\ntrusted_proxies static 0.0.0.0/0\nclient_ip_headers X-Forwarded-For X-Real-IP Client-IP\n}",
	} {
		t.Run(name, func(t *testing.T) { guard(t, global, impersonating(t, "")).run(t, cases) })
	}
	t.Run("where variables say so", func(t *testing.T) {
		guard(t, "", trusting(t, "trusted_proxies static "+trustedPeer, `vars {
		trusted_proxy true
		client_ip `+trustedPeer+`
	}`)).run(t, cases)
	})
}

// The ranges are matched against the address as it is, in any of its spellings.
func TestRanges(t *testing.T) {
	guard(t, "", trusting(t, "trusted_proxies static 127.0.0.8/30", "")).run(t, []exchange{
		{name: "the first of a range", from: "127.0.0.8", fields: aliceAnd(), want: as("alice")},
		{name: "the last of a range", from: "127.0.0.11", fields: aliceAnd(), want: as("alice")},
		{name: "one before", from: "127.0.0.7", fields: aliceAnd(), status: http.StatusUnauthorized, reason: untrusted},
		{name: "one after", from: "127.0.0.12", fields: aliceAnd(), status: http.StatusUnauthorized, reason: untrusted},
		{name: "nothing to drop", from: "127.0.0.12", status: http.StatusUnauthorized, reason: nobody},
		{
			name: "three fields to drop", from: "127.0.0.12", fields: aliceAnd("X-Forwarded-Groups: a", "X-Forwarded~User: b"),
			status: http.StatusUnauthorized, reason: "no credential: fields dropped from a peer that is not trusted: 3",
		},
	})
}

// GHSA-7jmw-8259-q9jx (Traefik): on a socket for both families an IPv4 peer may come
// mapped into IPv6, where no range of IPv4 contains it.
func TestListenerForBothFamilies(t *testing.T) {
	probe, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::]:0")
	if err != nil {
		t.Fatalf("listening for both families, which needs IPv6: %v", err)
	}
	probe.Close()
	g := guard(t, "", trusting(t, "trusted_proxies static "+trustedPeer, "bind ::"))
	g.Addr = strings.Replace(g.Addr, "[::]", "127.0.0.1", 1)
	g.run(t, []exchange{
		{name: "the trusted proxy", fields: aliceAnd(), want: as("alice")},
		{name: "a stranger", from: strangerPeer, fields: aliceAnd(), status: http.StatusUnauthorized, reason: untrusted},
	})
	g.Addr = strings.Replace(g.Addr, "127.0.0.1", "[::1]", 1)
	g.run(t, []exchange{
		{name: "a stranger by IPv6", from: "::1", fields: aliceAnd(), status: http.StatusUnauthorized, reason: untrusted},
	})
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "caddy.sock")
	for _, c := range []struct {
		name, trust string
		want        http.Header
		reason      string
	}{
		{"trusted_proxies_unix", "trusted_proxies_unix", as("alice"), ""},
		{"beside ranges", "trusted_proxies_unix\ntrusted_proxies static 10.0.0.1", as("alice"), ""},
		{"not trusted by ranges", "trusted_proxies static 127.0.0.0/8 ::1", nil, untrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := guard(t, "", trusting(t, c.trust, "bind unix/"+socket))
			g.Addr = socket
			if c.want != nil {
				c.want = c.want.Clone()
				for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
					c.want[name] = nil // reverse_proxy says nothing where a peer has no address
				}
			}
			status := http.StatusOK
			if c.want == nil {
				status = http.StatusUnauthorized
			}
			g.run(t, []exchange{{
				name: "alice", fields: aliceAnd("X-Forwarded-For: 10.0.0.1"), want: c.want, status: status, reason: c.reason,
			}})
		})
	}
}

// proxyHeader is a PROXY protocol v2 header: who its sender says the peer is.
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

// A PROXY header can say anything of the peer, also that it came by a unix socket, whose
// address Go shows as "@". That it did is proven by the listener alone.
func TestPROXYHeaders(t *testing.T) {
	const (
		believing = "servers {\nlistener_wrappers {\nproxy_protocol {\nallow 127.0.0.0/8\n}\n}\n}"
		unix      = "trusted_proxies_unix\ntrusted_proxies static " + trustedPeer
	)
	// forwardedFor is what reverse_proxy says of a peer; nil where it has no address
	for _, c := range []struct {
		name, global, trust, header string
		forwardedFor                []string
		want                        http.Header
		reason                      string
	}{
		{name: "a unix socket without a name", header: proxyHeaderUnix(""), reason: untrusted},
		{name: "a unix socket named @", header: proxyHeaderUnix("@"), reason: untrusted},
		{name: "a unix socket with a path", header: proxyHeaderUnix("/run/oauth2-proxy.sock"), reason: untrusted},
		{name: "a local connection", header: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", reason: untrusted},
		{name: "an unknown peer", header: "PROXY UNKNOWN\r\n", reason: untrusted},
		{name: "another address", header: "PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n", reason: untrusted},
		{
			name: "IPv4 mapped into IPv6", header: proxyHeader6("::ffff:" + trustedPeer),
			want: as("alice"), forwardedFor: []string{"127.0.0.2"},
		},
		{name: "IPv4 in the last bytes of IPv6", header: proxyHeader6("::" + trustedPeer), reason: untrusted},
		{
			name: "the trusted address, which the operator believes", header: "PROXY TCP4 " + trustedPeer + " 127.0.0.1 1 2\r\n",
			want: as("alice"), forwardedFor: []string{trustedPeer},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := guard(t, believing, trusting(t, unix, ""))
			conn := g.Dial(t, strangerPeer)
			if _, err := conn.Write([]byte(c.header)); err != nil {
				t.Fatal(err)
			}
			g.checkOn(t, conn, siteHost, c.want, c.forwardedFor, c.reason)
		})
	}
	t.Run("of a peer whom nobody allowed to send one", func(t *testing.T) {
		g := guard(t, strings.Replace(believing, "127.0.0.0/8", "10.0.0.0/8", 1), trusting(t, unix, ""))
		conn := g.Dial(t, strangerPeer)
		if _, err := fmt.Fprintf(conn, "PROXY TCP4 %s 127.0.0.1 1 2\r\n", trustedPeer); err != nil {
			t.Fatal(err)
		}
		g.checkOn(t, conn, siteHost, nil, nil, untrusted)
	})
}

// checkOn sends alice's request on a connection, and compares what comes of it.
func (g *guarded) checkOn(t *testing.T, conn net.Conn, host string, want http.Header, forwardedFor []string, reason string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nX-Forwarded-User: alice\r\n\r\n", host); err != nil {
		t.Fatalf("sending the request: %v", err)
	}
	got := readAnswer(t, bufio.NewReader(conn), "GET")
	g.checkReason(t, reason)
	if want == nil {
		if got.status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", got.status)
		}
		g.checkNothing(t)
		return
	}
	header := proxied("", want)
	header["X-Forwarded-For"] = forwardedFor
	g.checkReceived(t, caddytest.Received{Line: "GET / HTTP/1.1", Header: header})
}
