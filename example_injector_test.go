// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	kubeidentity "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

// Tenant is an injector for an upstream that is told the tenant, which is the domain of
// the user's email address.
type Tenant struct {
	// Scope is the option sources, which every injector has.
	injectors.Scope

	// Field is the header field that is written. Default: X-Tenant.
	Field string `json:"field,omitempty"`
}

// CaddyModule returns the Caddy module information. The last part of the ID is the word
// in the configuration.
func (*Tenant) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.tenant", New: func() caddy.Module { return new(Tenant) }}
}

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject tenant [<field>] [{
//		sources <name>...
//	}]
func (i *Tenant) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		i.Field = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "sources":
			if err := i.ParseSources(d); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized subdirective '%s'", d.Val())
		}
	}
	return nil
}

// Provision sets the default.
func (i *Tenant) Provision(caddy.Context) error {
	if i.Field == "" {
		i.Field = "X-Tenant"
	}
	return nil
}

// Validate refuses a field that cannot carry an identity, such as Connection.
func (i *Tenant) Validate() error { return identity.CheckIdentityField(i.Field) }

// Writes names the fields that are stripped from every request, even if nothing is injected.
func (i *Tenant) Writes() []string { return []string{i.Field} }

// Inject writes the field, or refuses the request.
func (i *Tenant) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	_, domain, found := strings.Cut(id.Email, "@")
	if !found {
		return fmt.Errorf("%w: the user has no email address", identity.ErrForbidden)
	}
	header.Set(i.Field, domain)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Tenant)(nil)
	_ caddy.Validator       = (*Tenant)(nil)
	_ caddyfile.Unmarshaler = (*Tenant)(nil)
	_ kubeidentity.Injector = (*Tenant)(nil)
)

// An injector of your own is a Caddy module in the namespace http.kube_identity.injectors.
func Example_injector() {
	caddy.RegisterModule(new(Tenant)) // in a package of your own this is in func init

	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", []byte(`{
		"trusted_proxies": {"source": "static", "ranges": ["192.0.2.0/24"]},
		"sources": [{"source": "forwarded", "user": ["X-Forwarded-User"], "email": ["X-Forwarded-Email"]}],
		"injectors": [{"injector": "tenant"}]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	upstream := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		fmt.Println("the upstream received", r.Header)
		return nil
	})
	for _, email := range []string{"alice@acme.example", ""} {
		r := httptest.NewRequest(http.MethodGet, "https://dashboard.example/", http.NoBody)
		r.RemoteAddr = "192.0.2.1:4711" // the trusted proxy
		r.Header.Set("X-Forwarded-User", "alice")
		r.Header.Set("X-Forwarded-Email", email)
		r.Header.Set("X-Tenant", "umbrella.example") // this does not help the client
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
		err := module.(caddyhttp.MiddlewareHandler).ServeHTTP(httptest.NewRecorder(), r, upstream)
		if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			fmt.Println("refused with", refused.StatusCode)
		}
	}
	// Output:
	// the upstream received map[X-Tenant:[acme.example]]
	// refused with 403
}
