// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddy-kube-identity/caddy-kube-identity/identity"

// ClientCertificate implements [identity.CertificateReader]. VerifyHeader is not looked at: it
// is about the chain, and the proxy's handshake proves the key whatever the chain is.
func (c *ClientCert) ClientCertificate(r *identity.Request) ([]byte, error) {
	if c.TLS {
		return nil, identity.ErrAbsent
	}
	return c.authenticator.Leaf(r.Stripped.Lines(c.header))
}

// Interface guard
var _ identity.CertificateReader = (*ClientCert)(nil)
