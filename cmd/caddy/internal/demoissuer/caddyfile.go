// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("demo_issuer", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("demo_issuer", httpcaddyfile.Before, "respond")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	issuer := new(Handler)
	err := issuer.UnmarshalCaddyfile(h.Dispenser)
	return issuer, err
}

// UnmarshalCaddyfile sets up the issuer from Caddyfile tokens. Syntax:
//
//	demo_issuer <url> {
//		client_id          <id>
//		client_secret_file <file>
//		redirect_url       <url>...
//		post_logout_url    <url>...
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if !d.AllArgs(&h.URL) {
		return d.ArgErr()
	}
	if err := checkIssuer(h.URL); err != nil {
		return d.Errf("parsing demo_issuer: %v", err)
	}
	return option.Block(d, option.Options{
		"client_id":          option.Literal(&h.ClientID, checkClientID),
		"client_secret_file": option.Literal(&h.ClientSecretFile, option.NotEmpty),
		"redirect_url":       option.Literals(&h.RedirectURLs, option.Each(checkReturn)),
		"post_logout_url":    option.Literals(&h.PostLogoutURLs, option.Each(checkReturn)),
	})
}
