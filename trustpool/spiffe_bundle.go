// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(SPIFFEBundle))
}

// SPIFFEBundle is a pool of CAs from the bundle of a SPIFFE trust domain, in SPIFFE's own
// format: a key set (JWKS) with certificates. The file is read again when it changes, since the
// CAs of a trust domain are renewed all the time. While it cannot be read, or has no
// certificate, the last good ones are kept; at load that is an error.
type SPIFFEBundle struct {
	// File is the bundle: a key set (JWKS). One that is missing, or that is not a bundle, is
	// refused; later the last good certificates stay in use. Required.
	File string `json:"file,omitempty"`

	watched
}

// CaddyModule returns the Caddy module information.
func (*SPIFFEBundle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "tls.ca_pool.source.spiffe_bundle",
		New: func() caddy.Module { return new(SPIFFEBundle) },
	}
}

// Provision reads the file.
func (p *SPIFFEBundle) Provision(ctx caddy.Context) error {
	if err := guest.Expand(p); err != nil {
		return fmt.Errorf("spiffe_bundle: %w", err)
	}
	if p.File == "" {
		return errors.New("spiffe_bundle: there is no file")
	}
	if err := p.watch(ctx.Logger(), []string{p.File}, ParseBundle); err != nil {
		return fmt.Errorf("spiffe_bundle: %w", err)
	}
	return nil
}

// UnmarshalCaddyfile sets up the pool from Caddyfile tokens. Syntax:
//
//	trust_pool spiffe_bundle <jwks_file>
func (p *SPIFFEBundle) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	return option.Word(&p.File, option.NotEmpty)(d)
}

// Interface guards
var (
	_ caddy.Provisioner            = (*SPIFFEBundle)(nil)
	_ caddyfile.Unmarshaler        = (*SPIFFEBundle)(nil)
	_ caddytls.CA                  = (*SPIFFEBundle)(nil)
	_ caddytls.CertificateProvider = (*SPIFFEBundle)(nil)
)
