// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Beside are the ways that stand beside guarded ones.
type Beside struct {
	// Same are ways without a kube_identity to an upstream that it guards for the site.
	Same []Way

	// Others are ways of the site without a kube_identity to other upstreams.
	Others []Way

	// Unknown are ways without a kube_identity, of any site, to an upstream that the configuration
	// does not tell: it may be one that is guarded.
	Unknown []Way

	// Elsewhere are guarded ways to the upstreams of a site that has no guarded way itself.
	Elsewhere []Way
}

// BesideSite looks for the unguarded ways beside those of a site, which is a host at a server. It
// leaves out an upstream that is only asked about requests: its own pages are for all.
func BesideSite(ways []Way, server, host string) Beside {
	var guarded, open, asked, elsewhere []*Way
	for n := range ways {
		w := &ways[n]
		of := w.Server == server && w.Serves(host)
		switch {
		case w.Asks:
			asked = append(asked, w)
		case w.Guarded && of:
			guarded = append(guarded, w)
		case w.Guarded:
			elsewhere = append(elsewhere, w)
		case of:
			open = append(open, w)
		}
	}
	var beside Beside
	if len(guarded) == 0 {
		for _, w := range elsewhere {
			if w.isAt(open) {
				beside.Elsewhere = append(beside.Elsewhere, *w)
			}
		}
		return beside
	}
	for n := range ways {
		switch w := &ways[n]; {
		case w.Guarded || w.Asks:
		case w.isAt(guarded):
			beside.Same = append(beside.Same, *w)
		case w.unknown():
			beside.Unknown = append(beside.Unknown, *w)
		case slices.Contains(open, w) && !w.OnError && w.Behind == "" && !w.isAt(asked):
			beside.Others = append(beside.Others, *w)
		}
	}
	return beside
}

// isAt says whether a way leads to an upstream of one of the others.
func (w *Way) isAt(others []*Way) bool {
	for _, other := range others {
		for _, address := range other.Upstreams {
			if slices.ContainsFunc(w.Upstreams, func(own string) bool { return own == address || Same(own) == Same(address) }) {
				return true
			}
		}
	}
	return false
}

// Same is the address of an upstream as it is compared with others: this machine has several names.
func Same(address string) string {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(address, "tcp/"))
	if err != nil {
		return address
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && (ip.Unmap().IsLoopback() || ip.Unmap().IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// unknown says whether the upstream is found out for each request.
func (w *Way) unknown() bool {
	return w.found || slices.ContainsFunc(w.Upstreams, func(address string) bool { return strings.Contains(address, "{") })
}
