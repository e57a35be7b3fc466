// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"net/netip"
	"testing"
)

var errRefused = errors.New("refused by the test")

// The table has one address of each kind that the proxy must not ask, even if a certificate
// names it.
func TestPublicAddresses(t *testing.T) {
	public := PublicOnly(errRefused)
	for address, want := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2606:4700::1111": true,
		"::ffff:93.184.216.34": true, "64:ff9b::5db8:d822": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.254": false, "10.0.0.1": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "100.100.100.200": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "168.63.129.16": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"ff02::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:a00:1::": false,
		"3fff::1": false, "100::1": false, "5f00::1": false,
	} {
		err := public(netip.AddrPortFrom(netip.MustParseAddr(address), 443))
		if (err == nil) != want || err != nil && !errors.Is(err, errRefused) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
}

// The dialer asks with the address as text, after it resolved the name.
func TestGuards(t *testing.T) {
	for name, test := range map[string]struct {
		guard Guard
		want  map[string]bool
	}{
		"public only": {PublicOnly(errRefused), map[string]bool{
			"93.184.216.34:80": true, "93.184.216.34:443": true, "[2606:4700::1111]:80": true,
			"93.184.216.34:8080": false, "93.184.216.34:6443": false, "127.0.0.1:80": false, "[::ffff:10.0.0.1]:443": false, "nonsense": false,
		}},
		"loopback only": {LoopbackOnly(errRefused), map[string]bool{
			"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
			"10.0.0.1:80": false, "[2001:db8::1]:80": false, "[::ffff:10.0.0.1]:80": false, "nonsense": false,
		}},
	} {
		for address, want := range test.want {
			err := test.guard.control("tcp", address, nil)
			if (err == nil) != want || err != nil && !errors.Is(err, errRefused) {
				t.Errorf("%s: %s: %v", name, address, err)
			}
		}
	}
}
