// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Option parses the option trust_pool <ca_pool_module> ...
func Option(raw *json.RawMessage) option.Parser {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		if name := d.Val(); isFile(name) {
			return d.Errf("unrecognized trust_pool '%[1]s': write 'trust_pool file %[1]s', or 'trust_pool watched_file %[1]s' to have it read again when it changes", name)
		}
		var err error
		*raw, err = option.Guest(d, "tls.ca_pool.source", "provider", "trust_pool")
		return err
	}
}

// isFile says whether the name of a file is where that of a pool should be.
func isFile(name string) bool {
	return strings.Contains(name, "/") || slices.Contains([]string{".pem", ".crt", ".cer"}, filepath.Ext(name))
}

// Sum names certificates by their content and order.
func Sum(certs []*x509.Certificate) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for _, cert := range certs {
		one := sha256.Sum256(cert.Raw)
		hash.Write(one[:])
	}
	hash.Sum(sum[:0])
	return sum
}

// Load loads the guest in the field TrustPoolRaw of config. It refuses an empty pool, and
// one that is nil: crypto/x509 would take that for the system's.
func Load(ctx caddy.Context, config any, raw json.RawMessage) (caddytls.CA, error) {
	if raw == nil {
		return nil, errors.New("there is no trust_pool")
	}
	guest, err := ctx.LoadModule(config, "TrustPoolRaw")
	if err != nil {
		return nil, fmt.Errorf("loading trust_pool: %w", err)
	}
	ca, ok := guest.(caddytls.CA)
	if !ok {
		return nil, fmt.Errorf("loading trust_pool: %T is not a pool of certificates", guest)
	}
	if pool := ca.CertPool(); pool == nil || pool.Equal(x509.NewCertPool()) {
		return nil, errors.New("the trust_pool is empty")
	}
	return ca, nil
}
