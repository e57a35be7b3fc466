// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"

// ReadsBesides implements [guest.Reader].
func (p *Placeholder) ReadsBesides() []string {
	var names []string
	for _, key := range []string{p.user, p.groups, p.uid, p.email, p.name, p.preferredUsername} {
		if key != "" {
			names = append(names, "{"+key+"}")
		}
	}
	return names
}

// ReadsBesides implements [guest.Reader].
func (c *ClientCert) ReadsBesides() []string {
	if len(c.Reads().Names) > 0 {
		return nil
	}
	return []string{"the peer's certificate in the TLS handshake"}
}

// ReadsBesides implements [guest.Reader].
func (*Anonymous) ReadsBesides() []string { return []string{"nothing of the request"} }

// Interface guards
var (
	_ guest.Reader = (*Placeholder)(nil)
	_ guest.Reader = (*ClientCert)(nil)
	_ guest.Reader = (*Anonymous)(nil)
)
