// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(FrontProxy))
}

// FrontProxy is the injector for an API server or OAuth server that believes the
// X-Remote-* fields of a proxy which it knows by its TLS client certificate: give that
// certificate to reverse_proxy's transport (tls_client_auth). It sends X-Remote-User, one
// X-Remote-Group line a group, X-Remote-Uid, and X-Remote-Extra-* for every extra
// attribute.
//
// The upstream accepts every identity that is sent, system:masters included: only this
// handler's own policy limits it.
type FrontProxy struct {
	Scope
}

// CaddyModule returns the Caddy module information.
func (*FrontProxy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  guest.Injectors + ".front_proxy",
		New: func() caddy.Module { return new(FrontProxy) },
	}
}

// Provision expands the names of sources.
func (i *FrontProxy) Provision(caddy.Context) error {
	if err := guest.Expand(i); err != nil {
		return fmt.Errorf("inject front_proxy: %w", err)
	}
	return nil
}

// Writes implements [identity.Injector]: the whole family, whatever of it is sent.
func (*FrontProxy) Writes() []string { return []string{"X-Remote-*"} }

// Inject implements [identity.Injector].
func (*FrontProxy) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	return impersonation.FrontProxy().Inject(ctx, id, header)
}

// KeepLines says that all lines may be kept.
func (*FrontProxy) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	return impersonation.FrontProxy().KeepLines()
}

// UsesTransport says that the upstream knows the proxy by its client certificate.
func (*FrontProxy) UsesTransport() bool { return true }

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject front_proxy [{
//		sources <name>...
//	}]
func (i *FrontProxy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{"sources": i.ParseSources})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*FrontProxy)(nil)
	_ caddyfile.Unmarshaler = (*FrontProxy)(nil)
	_ identity.Injector     = (*FrontProxy)(nil)
)
