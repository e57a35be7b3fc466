// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "github.com/caddyserver/caddy/v2"

// ListensOnUnixOnly says whether every address is a unix socket. Then a connection that
// reached the server came by one, whatever a PROXY header says about it.
func ListensOnUnixOnly(addresses []string) bool {
	for _, address := range addresses {
		parsed, err := caddy.ParseNetworkAddress(address)
		if err != nil || !parsed.IsUnixNetwork() {
			return false
		}
	}
	return len(addresses) > 0
}
