// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(Token))
}

// Token is the injector for upstreams that verify the user's own token: an API server that
// knows the issuer, or a dashboard that passes it on. It sends the token that a source has
// verified, never what the client merely sent. It sends nothing for an identity without a
// token, such as anonymous.
//
// It cannot be combined with impersonation for one source: the upstream would act as another
// user with the user's own token.
type Token struct {
	Scope

	// Field receives the token alone. A field that reverse_proxy overwrites or that proxies
	// append to is refused. Default: Authorization, with "Bearer" and a blank before it.
	Field string `json:"field,omitempty"`

	// Cookie is the name of a cookie that receives the token too, for upstreams with parts that
	// read nothing else. The client's own cookies of that name, and of that name with a suffix
	// "-…", are stripped. A token that a cookie cannot hold is refused with 403. Default: none.
	Cookie string `json:"cookie,omitempty"`

	injector impersonation.Token
}

// CaddyModule returns the Caddy module information.
func (*Token) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Injectors + ".token", New: func() caddy.Module { return new(Token) }}
}

// Provision puts the name of the field into canonical spelling.
func (i *Token) Provision(caddy.Context) error {
	if err := guest.Expand(i); err != nil {
		return fmt.Errorf("inject token: %w", err)
	}
	i.compile()
	return nil
}

func (i *Token) compile() {
	i.injector.Field, i.injector.Cookie = http.CanonicalHeaderKey(i.Field), i.Cookie
	if i.injector.Field == "" {
		i.injector.Field = "Authorization"
	}
}

// Validate refuses fields and cookies that cannot hold a token.
func (i *Token) Validate() error {
	if i.Cookie != "" {
		if err := checkCookie(i.Cookie); err != nil {
			return fmt.Errorf("inject token cookie: %w", err)
		}
	}
	if i.injector.Field == "Authorization" {
		return nil
	}
	if err := option.CheckFieldName(i.Field); err != nil {
		return fmt.Errorf("inject token: %w", err)
	}
	return nil
}

// checkCookie refuses a text that cannot be the name of a cookie: like a field's name it is
// a token (RFC 6265, section 4.1.1). A name with "*" would strip other cookies too.
func checkCookie(name string) error {
	if strings.Contains(name, "*") {
		return fmt.Errorf("cookie %q: this must be a name, not a pattern: write the whole name", name)
	}
	return identity.CheckField(name)
}

// Writes implements [identity.Injector].
func (i *Token) Writes() []string { return i.injector.Writes() }

// SendsToken says that the user's own token is all that this injector sends.
func (*Token) SendsToken() (sends, alone bool) { return true, true }

// TokenFields returns the field that has the token.
func (i *Token) TokenFields() []string { return i.injector.Writes() }

// Cookies are patterns of the client's own cookies to strip.
func (i *Token) Cookies() []string {
	if i.Cookie == "" {
		return nil
	}
	return []string{i.Cookie, i.Cookie + "-*"}
}

// Inject implements [identity.Injector].
func (i *Token) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	return i.injector.Inject(ctx, id, header)
}

// KeepLines says that nothing may be kept: a token would stay in memory longer than its
// request.
func (i *Token) KeepLines() (ofIdentity, ofRequest identity.Injector) { return nil, &i.injector }

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject token [<field>] [{
//		cookie  <name>
//		sources <name>...
//	}]
func (i *Token) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		i.Field = d.Val()
		if http.CanonicalHeaderKey(i.Field) != "Authorization" {
			if err := option.Unexpanded(option.CheckFieldName)(i.Field); err != nil {
				return d.Errf("parsing inject token: %v", err)
			}
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{
		"cookie":  option.Word(&i.Cookie, checkCookie),
		"sources": i.ParseSources,
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Token)(nil)
	_ caddy.Validator       = (*Token)(nil)
	_ caddyfile.Unmarshaler = (*Token)(nil)
	_ identity.Injector     = (*Token)(nil)
)
