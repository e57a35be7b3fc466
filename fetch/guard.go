// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"net/netip"
	"slices"
	"syscall"
)

// Guard refuses an address with an error. It is called after the name was resolved, for
// each address that is tried, so that a name which changes its address (DNS rebinding)
// does not get past it.
type Guard func(at netip.AddrPort) error

// PublicOnly refuses, with the given error, all addresses except public ones with the
// port 80 or 443. It is for URLs that the operator did not choose: such a URL must not
// send the proxy into the proxy's own network (SSRF).
func PublicOnly(refusal error) Guard {
	reserved := reservedBlocks()
	return func(at netip.AddrPort) error {
		if at.Port() != 80 && at.Port() != 443 || !isPublic(at.Addr(), reserved) {
			return refusal
		}
		return nil
	}
}

// LoopbackOnly refuses, with the given error, all addresses except loopback ones.
func LoopbackOnly(refusal error) Guard {
	return func(at netip.AddrPort) error {
		if !at.Addr().IsLoopback() {
			return refusal
		}
		return nil
	}
}

// control is the function for the dialer. An address that cannot be parsed becomes the
// zero one, which every guard refuses.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		at = netip.AddrPort{}
	}
	return g(at)
}

func isPublic(addr netip.Addr, reserved []netip.Prefix) bool {
	addr = addr.Unmap().WithZone("")
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(addr) {
		// A translator (RFC 6052) makes the last four bytes an IPv4 address.
		wide := addr.As16()
		addr = netip.AddrFrom4([4]byte(wide[12:]))
	}
	if addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		return false // the only block that IANA assigns; all others have special meanings
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(reserved, func(block netip.Prefix) bool { return block.Contains(addr) })
}

// reservedBlocks are the blocks of the special-purpose registries (RFC 6890) that
// [netip.Addr] does not distinguish from public ones.
func reservedBlocks() []netip.Prefix {
	blocks := []netip.Prefix{}
	for _, block := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // Azure's metadata service, public by its number only
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		blocks = append(blocks, netip.MustParsePrefix(block))
	}
	return blocks
}
