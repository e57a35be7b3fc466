// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

// ProvesPeer says whether it verifies the certificate of the direct peer's own handshake.
func (c *ClientCert) ProvesPeer() bool { return c.TLS }
