// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// CheckRange refuses what Caddy's IP source static could not read. Caddy does so when the
// configuration is loaded, without file and line.
func CheckRange(text string) error {
	_, notAddr := netip.ParseAddr(text)
	_, notPrefix := netip.ParsePrefix(text)
	_, notPort := netip.ParseAddrPort(text)
	switch {
	case notAddr == nil, notPrefix == nil, text == "private_ranges", hasPlaceholder(text):
		return nil
	case text == "":
		return errors.New("the range is empty: is the environment variable set? Write addresses such as 10.0.0.5")
	case strings.Contains(text, ","):
		return fmt.Errorf("%q has a comma: write a blank between two addresses", text)
	case notPort == nil:
		return fmt.Errorf("%q has a port: write the address alone", text)
	case strings.HasPrefix(text, "unix/"):
		return fmt.Errorf("%q is a socket: write 'trusted_proxies_unix' for the peers of a Unix socket", text)
	case strings.Contains(text, "/"):
		return fmt.Errorf("%q is not a range: write one such as 10.0.0.0/24, with at most /32, or /128 for IPv6", text)
	case strings.Contains(text, "-") && strings.Trim(text, "0123456789abcdefABCDEF.:-") == "":
		return fmt.Errorf("%q is not a range: write it with its prefix length, such as 10.0.0.0/24", text)
	}
	return fmt.Errorf("%q is not an address: write one such as 10.0.0.5, or a range such as 10.0.0.0/24", text)
}
