// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestParseAddr(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:4711":                    "192.0.2.1",
		"[2001:db8::1]:4711":                "2001:db8::1",
		"[::ffff:192.0.2.1]:4711":           "192.0.2.1", // a dual-stack socket (CVE-2024-24790)
		"[::ffff:c000:201]:4711":            "192.0.2.1",
		"[fe80::1%eth0]:4711":               "fe80::1", // a range has no zone, and no address with one is in it
		"[::ffff:192.0.2.1%eth0]:4711":      "192.0.2.1",
		"[::1]:0":                           "::1",
		"192.0.2.1:":                        "",
		"@":                                 "", // a PROXY header can contain it, so it does not prove a unix socket
		"":                                  "",
		":4711":                             "",
		"192.0.2.1":                         "",
		"2001:db8::1":                       "",
		"[2001:db8::1]":                     "",
		"/run/proxy.sock":                   "",
		"localhost:80":                      "",
		"192.0.2.1.:80":                     "",
		"192.0.2.01:80":                     "",
		"0xc0000201:80":                     "",
		"3221225985:80":                     "",
		"192.0.2.1, 10.0.0.1:80":            "",
		" 192.0.2.1:80":                     "",
		"[192.0.2.1%eth0]:80":               "",
		"192.0.2.1:80:80":                   "",
		"[::ffff:192.0.2.1]:80\r\nX: y":     "",
		"192.0.2.1:http":                    "",
		strings.Repeat("1", 100000) + ":80": "",
	} {
		got := identity.ParseAddr(remote)
		if want == "" && got.IsValid() || want != "" && got.String() != want {
			t.Errorf("ParseAddr(%.40q) = %v, want %q", remote, got, want)
		}
	}
}

func TestPeerAsTheLogShowsIt(t *testing.T) {
	for want, peer := range map[string]identity.Peer{
		"unix":        {Unix: true, Addr: netip.MustParseAddr("192.0.2.1")},
		"192.0.2.1":   {Addr: netip.MustParseAddr("192.0.2.1"), Trusted: true},
		"2001:db8::1": {Addr: netip.MustParseAddr("2001:db8::1")},
		"unknown":     {},
	} {
		if got := peer.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func prefixes(list ...string) []netip.Prefix {
	ranges := make([]netip.Prefix, len(list))
	for i, text := range list {
		ranges[i] = netip.MustParsePrefix(text)
	}
	return ranges
}

func TestInRanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		remote string
		ranges []netip.Prefix
		all    bool
		want   bool
	}{
		{"without ranges no peer is in one", "192.0.2.1:1", nil, false, false},
		{"even if all is set", "192.0.2.1:1", nil, true, false},
		{"an address inside a range", "192.0.2.1:1", prefixes("10.0.0.0/8", "192.0.2.0/24"), false, true},
		{"an address outside all ranges", "192.0.3.1:1", prefixes("10.0.0.0/8", "192.0.2.0/24"), false, false},
		{"a range of one address", "192.0.2.1:1", prefixes("192.0.2.1/32"), false, true},
		{"the address after a range of one", "192.0.2.2:1", prefixes("192.0.2.1/32"), false, false},
		{"an address mapped into IPv6", "[::ffff:192.0.2.1]:1", prefixes("192.0.2.0/24"), false, true},
		{"an address with a zone", "[fe80::1%eth0]:1", prefixes("fe80::/10"), false, true},
		{"a range with host bits", "192.0.2.1:1", prefixes("192.0.2.77/24"), false, true},
		{"an address of IPv6", "[2001:db8::1]:1", prefixes("2001:db8::/32"), false, true},
		{"a text that is not an address", "@", prefixes("0.0.0.0/0", "::/0"), true, false},
		{"a range that grew to a whole family trusts no peer", "192.0.2.1:1", prefixes("0.0.0.0/0"), false, false},
		{"the same for IPv6", "[2001:db8::1]:1", prefixes("::/0"), false, false},
		{"a whole family counts if all is set", "192.0.2.1:1", prefixes("0.0.0.0/0"), true, true},
		{"the other family is still outside", "[2001:db8::1]:1", prefixes("0.0.0.0/0"), true, false},
		{"IPv4 is not in ::/0", "192.0.2.1:1", prefixes("::/0"), true, false},
		{"an invalid range", "192.0.2.1:1", []netip.Prefix{{}}, true, false},
		{"loopback is not trusted unless a range has it", "127.0.0.1:1", prefixes("10.0.0.0/8"), false, false},
	} {
		if got := identity.InRanges(identity.ParseAddr(test.remote), test.ranges, test.all); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// With ranges that cover a whole address family every client can pass as any user, in
// however many pieces the ranges are written (CVE-2026-20896, CVE-2026-40575).
func TestCheckRanges(t *testing.T) {
	for _, test := range []struct {
		name    string
		ranges  []netip.Prefix
		refused string // part of the error
	}{
		{"no ranges", nil, ""},
		{"the usual private ranges", prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "::1/128"), ""},
		{"everything", prefixes("0.0.0.0/0"), "all of 0.0.0.0/0"},
		{"everything of IPv6", prefixes("10.0.0.0/8", "::/0"), "all of ::/0"},
		{"everything, written with host bits", prefixes("192.0.2.1/0"), "all of 0.0.0.0/0"},
		{"both halves", prefixes("0.0.0.0/1", "128.0.0.0/1"), "all of 0.0.0.0/0"},
		{"both halves of IPv6", prefixes("::/1", "8000::/1"), "all of ::/0"},
		{"both halves with host bits", prefixes("1.2.3.4/1", "200.0.0.1/1"), "all of 0.0.0.0/0"},
		{"quarters in any order", prefixes("192.0.0.0/2", "64.0.0.0/2", "0.0.0.0/2", "128.0.0.0/2"), "all of 0.0.0.0/0"},
		{"pieces of all sizes", append(everythingExcept(0), netip.MustParsePrefix("0.0.0.0/32")), "all of 0.0.0.0/0"},
		{
			"pieces among other ranges, and overlapping",
			prefixes("10.0.0.0/8", "0.0.0.0/1", "2001:db8::/32", "192.0.0.0/2", "128.0.0.0/2", "200.0.0.0/5"), "all of 0.0.0.0/0",
		},
		{"one half", prefixes("0.0.0.0/1"), ""},
		{"the same half twice", prefixes("0.0.0.0/1", "0.0.0.0/1", "64.0.0.0/2"), ""},
		{"a half of each family", prefixes("0.0.0.0/1", "8000::/1"), ""},
		{"three quarters", prefixes("0.0.0.0/2", "64.0.0.0/2", "192.0.0.0/2"), ""},
		{"everything except the first address", everythingExcept(0), ""},
		{"everything except one in the middle", everythingExcept(0x7f000001), ""},
		{"everything except the last address", everythingExcept(0xffffffff), ""},
		{"a range mapped into IPv6", prefixes("10.0.0.0/8", "::ffff:10.0.0.0/104"), "mapped into IPv6"},
		{"all of IPv4 mapped into IPv6", prefixes("::ffff:0:0/96"), "mapped into IPv6"},
		{"a range around the mapped ones", prefixes("::/64"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := identity.CheckRanges(test.ranges, false)
			switch {
			case test.refused == "" && err != nil:
				t.Error(err)
			case test.refused != "" && err == nil:
				t.Errorf("%v are not refused", test.ranges)
			case test.refused != "" && !strings.Contains(err.Error(), test.refused):
				t.Errorf("%v does not say %q", err, test.refused)
			}
			// with all, only ranges that match nothing are refused
			mapped := strings.Contains(test.refused, "mapped")
			if err := identity.CheckRanges(test.ranges, true); (err != nil) != mapped {
				t.Errorf("with insecure_trust_all_peers: %v", err)
			}
		})
	}
}

// everythingExcept covers all of IPv4 except one address.
func everythingExcept(hole uint32) []netip.Prefix {
	ranges := make([]netip.Prefix, 0, 32)
	for bits := 1; bits <= 32; bits++ {
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], hole^1<<(32-bits))
		ranges = append(ranges, netip.PrefixFrom(netip.AddrFrom4(addr), bits).Masked())
	}
	return ranges
}

func TestEverythingExceptOneContainsAllOthers(t *testing.T) {
	ranges := everythingExcept(0x0a010203)
	for remote, want := range map[string]bool{
		"10.1.2.3:1": false, "10.1.2.2:1": true, "10.1.2.4:1": true, "0.0.0.0:1": true, "255.255.255.255:1": true,
	} {
		if got := identity.InRanges(identity.ParseAddr(remote), ranges, false); got != want {
			t.Errorf("%s: %v", remote, got)
		}
	}
}
