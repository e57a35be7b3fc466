// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(WatchedFile))
}

// WatchedFile is a pool of CAs from PEM files that are read again when they change, as
// cert-manager's and trust-manager's bundles do. Caddy's own pool of files reads them once.
// While the files cannot be read, or hold no certificate, the last good certificates are
// kept; at load that is an error.
type WatchedFile struct {
	// Files are PEM files with one or more certificates each. Anything else in them is refused,
	// and a file that is missing; later the last good certificates stay in use. Required.
	Files []string `json:"files,omitempty"`

	watched
}

// CaddyModule returns the Caddy module information.
func (*WatchedFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "tls.ca_pool.source.watched_file",
		New: func() caddy.Module { return new(WatchedFile) },
	}
}

// Provision reads the files.
func (p *WatchedFile) Provision(ctx caddy.Context) error {
	if err := guest.Expand(p); err != nil {
		return fmt.Errorf("watched_file: %w", err)
	}
	if len(p.Files) == 0 {
		return errors.New("watched_file: there is no file")
	}
	if err := p.watch(ctx.Logger(), p.Files, ParseCertificates); err != nil {
		return fmt.Errorf("watched_file: %w", err)
	}
	return nil
}

// ParseCertificates reads every block of a PEM file. pem.Decode silently skips a damaged
// one, so the markers are counted: a bundle that is being written must not lose a CA.
func ParseCertificates(content []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a block of type %q", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	switch begun := bytes.Count(content, []byte("-----BEGIN ")); {
	case begun == 0:
		return nil, errors.New("there is no PEM block")
	case begun != len(certs):
		return nil, fmt.Errorf("only %[2]d of %[1]d PEM blocks can be read", begun, len(certs))
	}
	return certs, nil
}

// UnmarshalCaddyfile sets up the pool from Caddyfile tokens. Syntax:
//
//	trust_pool watched_file <pem_file>...
func (p *WatchedFile) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	return option.List(&p.Files, option.Each(option.NotEmpty))(d)
}

// Interface guards
var (
	_ caddy.Provisioner            = (*WatchedFile)(nil)
	_ caddyfile.Unmarshaler        = (*WatchedFile)(nil)
	_ caddytls.CA                  = (*WatchedFile)(nil)
	_ caddytls.CertificateProvider = (*WatchedFile)(nil)
)
