// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func TestListensOnUnixOnly(t *testing.T) {
	for name, test := range map[string]struct {
		addresses []string
		want      bool
	}{
		"no listener":                     {nil, false},
		"a port":                          {[]string{":8080"}, false},
		"an address":                      {[]string{"127.0.0.1:8080"}, false},
		"a host that looks like a socket": {[]string{"unix:8080"}, false},
		"a socket":                        {[]string{"unix//run/caddy.sock"}, true},
		"a socket with a mode":            {[]string{"unix//run/caddy.sock|0222"}, true},
		"an abstract socket":              {[]string{"unix/@caddy"}, true},
		"two sockets":                     {[]string{"unix//run/a.sock", "unix//run/b.sock"}, true},
		"a port beside a socket":          {[]string{"unix//run/a.sock", ":8080"}, false},
		"a socket behind a port":          {[]string{":8080", "unix//run/a.sock"}, false},
		"an address that is not one":      {[]string{"unix//run/a.sock", "tcp/127.0.0.1:many"}, false},
	} {
		if got := guest.ListensOnUnixOnly(test.addresses); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
