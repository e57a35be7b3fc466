// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// provisionBound finds out from where the certificates can come that tokens are bound to: the
// fields of sources, if only a trusted proxy may set them, and the handshakes of the server.
func (h *Handler) provisionBound(ctx caddy.Context) {
	for _, src := range h.sources {
		if reader, ok := src.Source.(identity.CertificateReader); ok && src.Reads().Proxy {
			h.certificateReaders = append(h.certificateReaders, reader)
		}
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	h.neverAsks = h.Respond || ok && server != nil && !slices.ContainsFunc(server.TLSConnPolicies, func(policy *caddytls.ConnectionPolicy) bool {
		return policy.ClientAuthentication != nil && policy.ClientAuthentication.Active()
	})
}

// validateBound refuses a source that demands a certificate which no client can ever show.
func (h *Handler) validateBound() error {
	if len(h.certificateReaders) > 0 || !h.neverAsks {
		return nil
	}
	why := "this server does not ask clients for a certificate (tls client_auth), and no client_cert reads the field of a trusted proxy"
	if h.Respond {
		why = "with respond the certificate is that of the front proxy"
	}
	for _, src := range h.sources {
		if demander, ok := src.Source.(identity.CertificateDemander); ok && demander.DemandsCertificate() {
			return errors.New("certificate_bound required: no token could pass: " + why)
		}
	}
	return nil
}
