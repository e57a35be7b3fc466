// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"strings"
	"testing"
)

func TestRangesAreReadAsCaddyReadsThem(t *testing.T) {
	for _, text := range []string{"10.0.0.5", "10.0.0.0/8", "2001:db8::/32", "::1", "private_ranges", "{env.PROXIES}"} {
		if err := CheckRange(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"":                     "the range is empty",
		"10.0.0.5/33":          "is not a range: write one such as",
		"10.0.0.5,10.0.0.6":    "has a comma",
		"10.0.0.5-10.0.0.9":    "with its prefix length",
		"10.0.0.5:4180":        "has a port",
		"[::1]:80":             "has a port",
		"unix//run/proxy.sock": "is a socket",
		"proxy.example.com":    "is not an address",
		"my-proxy":             "is not an address",
	} {
		if err := CheckRange(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
