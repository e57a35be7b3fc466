// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package yardstick

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Minimal))
	httpcaddyfile.RegisterHandlerDirective("yardstick_minimal", parseMinimal)
	// the place of kube_identity
	httpcaddyfile.RegisterDirectiveOrder("yardstick_minimal", httpcaddyfile.After, "forward_auth")
}

// Minimal deletes fields from the request, copies it, and sets fields of the copy. The
// fields and their lines are the same for each request: nothing is verified.
type Minimal struct {
	// Delete are the names of the fields that go.
	Delete []string `json:"delete,omitempty"`

	// Set are the fields that the copy gets, with their lines. Required.
	Set http.Header `json:"set,omitempty"`

	set []field
}

// field is a field that is set. A slice of them is faster to walk than a map.
type field struct {
	name  string
	lines []string
}

// CaddyModule returns the Caddy module information.
func (*Minimal) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.yardstick_minimal", New: func() caddy.Module { return new(Minimal) }}
}

// Provision puts the names into the spelling in which they arrive.
func (m *Minimal) Provision(caddy.Context) error {
	for i, name := range m.Delete {
		m.Delete[i] = http.CanonicalHeaderKey(name)
	}
	for name, lines := range m.Set {
		m.set = append(m.set, field{http.CanonicalHeaderKey(name), lines})
	}
	return nil
}

// Validate refuses a handler that sets nothing, which would not be a yardstick.
func (m *Minimal) Validate() error {
	if len(m.set) == 0 {
		return errors.New("yardstick_minimal: there is no field to set")
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (m *Minimal) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	for _, name := range m.Delete {
		delete(r.Header, name)
	}
	inner := r.WithContext(r.Context())
	inner.Header = r.Header.Clone()
	for _, f := range m.set {
		inner.Header[f.name] = f.lines
	}
	return next.ServeHTTP(w, inner)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	yardstick_minimal {
//		delete <field>...
//		set    <field> <line>...
//	}
//
// Both may appear more than once.
func (m *Minimal) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	m.Set = make(http.Header)
	for d.NextBlock(0) {
		option, args := d.Val(), d.RemainingArgs()
		switch {
		case option == "delete" && len(args) > 0:
			m.Delete = append(m.Delete, args...)
		case option == "set" && len(args) > 1:
			m.Set[args[0]] = append(m.Set[args[0]], args[1:]...)
		case option == "delete" || option == "set":
			return d.ArgErr()
		default:
			return d.Errf("unrecognized subdirective '%s'", option)
		}
	}
	return nil
}

func parseMinimal(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Minimal)
	if err := m.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return m, nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Minimal)(nil)
	_ caddy.Validator             = (*Minimal)(nil)
	_ caddyfile.Unmarshaler       = (*Minimal)(nil)
	_ caddyhttp.MiddlewareHandler = (*Minimal)(nil)
)
