// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func init() {
	caddy.RegisterModule(new(InjectToken))
}

// InjectToken is the injector for upstreams that verify the user's own token: an API
// server that knows the issuer, or a dashboard that passes it on. Sent is the token that
// a source has verified, never what the client merely sent, and nothing where there is
// none, as for anonymous.
//
// For one source it cannot stand beside impersonation: the upstream would act with the
// user's token as somebody else.
type InjectToken struct {
	Scope

	// Field receives the token alone. Default: Authorization, with "Bearer " before it.
	Field string `json:"field,omitempty"`

	// Cookie is the name of a cookie that receives the token too, for upstreams of which some
	// parts read nothing else. The client's own of that name, and of that name with a suffix
	// "-…", is taken off.
	Cookie string `json:"cookie,omitempty"`

	injector impersonation.Token
}

// CaddyModule returns the Caddy module information.
func (*InjectToken) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: injectorNamespace + ".token", New: func() caddy.Module { return new(InjectToken) }}
}

// Provision puts the name of the field into canonical spelling.
func (i *InjectToken) Provision(caddy.Context) error {
	i.injector.Field, i.injector.Cookie = http.CanonicalHeaderKey(i.Field), i.Cookie
	if i.injector.Field == "" {
		i.injector.Field = "Authorization"
	}
	return nil
}

// Validate refuses fields that are no place for a token.
func (i *InjectToken) Validate() error {
	if i.Cookie != "" {
		if err := checkCookie(i.Cookie); err != nil {
			return fmt.Errorf("inject token cookie: %w", err)
		}
	}
	if i.injector.Field == "Authorization" {
		return nil
	}
	if err := checkTokenField(i.Field); err != nil {
		return fmt.Errorf("inject token: %w", err)
	}
	return nil
}

// checkCookie refuses what cannot be the name of a cookie, which is a token as that of a
// field is (RFC 6265, section 4.1.1). With "*" the name would be a pattern, and the
// cookies of others go with it.
func checkCookie(name string) error {
	if strings.Contains(name, "*") {
		return fmt.Errorf("cookie %q: a name is wanted here, not a pattern", name)
	}
	return identity.CheckField(name)
}

// Writes implements [identity.Injector].
func (i *InjectToken) Writes() []string { return i.injector.Writes() }

// writesCookie is implemented by injectors that write cookies: those of clients go.
type writesCookie interface {
	Cookies() []string
}

// Cookies are the patterns of the client's own to take off.
func (i *InjectToken) Cookies() []string {
	if i.Cookie == "" {
		return nil
	}
	return []string{i.Cookie, i.Cookie + "-*"}
}

// Inject implements [identity.Injector].
func (i *InjectToken) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	return i.injector.Inject(ctx, id, header)
}

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject token [<field>] [{
//		cookie  <name>
//		sources <name>...
//	}]
func (i *InjectToken) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		i.Field = d.Val()
		if http.CanonicalHeaderKey(i.Field) != "Authorization" {
			if err := checkTokenField(i.Field); err != nil {
				return d.Errf("parsing inject token: %v", err)
			}
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return block(d, map[string]func(*caddyfile.Dispenser) error{
		"cookie":  word(&i.Cookie, checkCookie),
		"sources": i.parseSources,
	})
}

// needsToken says whether an injector writes nothing for an identity without a token.
func needsToken(injector Injector) bool {
	switch injector := injector.(type) {
	case *InjectToken:
		return true
	case *InjectHeaders:
		return injector.Token != "" && len(injector.Writes()) == 1
	default:
		return false
	}
}

// writesToken says whether an injector sends the user's own token, in whichever field.
func writesToken(injector Injector) bool {
	headers, ok := injector.(*InjectHeaders)
	return ok && headers.Token != "" || needsToken(injector)
}

// validateTokens refuses to send tokens where there are none, and where another
// injector makes the upstream act as somebody else.
func (h *Handler) validateTokens() error {
	var errs []error
	for _, src := range h.sources {
		if _, fallback := src.Source.(identity.Fallback); fallback {
			continue
		}
		silent := len(src.injectors) > 0 && !src.Reads().Credential // unless one writes without a token
		for _, injector := range src.injectors {
			silent = silent && needsToken(injector)
		}
		switch {
		case slices.ContainsFunc(src.injectors, writesToken) && slices.ContainsFunc(src.injectors, writesImpersonation):
			errs = append(errs, fmt.Errorf("inject token beside inject impersonation for the source %s: "+
				"the upstream would act as somebody else with the user's own token", src.name))
		case silent:
			errs = append(errs, fmt.Errorf("inject: the source %s proves no token, and nothing else is injected for it", src.name))
		}
	}
	return errors.Join(errs...)
}

func writesImpersonation(injector Injector) bool {
	_, found := identity.Overlap(injector.Writes(), []string{"Impersonate-*"})
	return found
}

// Interface guards
var (
	_ caddy.Provisioner     = (*InjectToken)(nil)
	_ caddy.Validator       = (*InjectToken)(nil)
	_ caddyfile.Unmarshaler = (*InjectToken)(nil)
	_ Injector              = (*InjectToken)(nil)
)
