// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package yardstick

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Null))
	httpcaddyfile.RegisterHandlerDirective("yardstick_null", parseNull)
	// the place of kube_identity
	httpcaddyfile.RegisterDirectiveOrder("yardstick_null", httpcaddyfile.After, "forward_auth")
}

// Null calls the next handler, with the request as it came.
type Null struct{}

// CaddyModule returns the Caddy module information.
func (*Null) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.yardstick_null", New: func() caddy.Module { return new(Null) }}
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (*Null) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	yardstick_null
func (*Null) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		return d.Errf("unrecognized subdirective '%s'", d.Val())
	}
	return nil
}

func parseNull(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	n := new(Null)
	if err := n.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return n, nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler       = (*Null)(nil)
	_ caddyhttp.MiddlewareHandler = (*Null)(nil)
)
