// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

func init() {
	caddy.RegisterModule(new(expiringSource))
	caddy.RegisterModule(new(bearerSource))
	caddy.RegisterModule(new(brokenSource))
	caddy.RegisterModule(new(brokenInjector))
}

// expiringSource authenticates every client as alice, for as long as its argument says.
type expiringSource struct {
	For  caddy.Duration `json:"for,omitempty"`
	Skew caddy.Duration `json:"skew,omitempty"`
}

func (*expiringSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_expiring", New: func() caddy.Module { return new(expiringSource) }}
}

func (s *expiringSource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for _, value := range []*caddy.Duration{&s.For, &s.Skew} {
		if !d.NextArg() {
			return nil
		}
		duration, err := time.ParseDuration(d.Val())
		if err != nil {
			return err
		}
		*value = caddy.Duration(duration)
	}
	return nil
}

func (*expiringSource) Reads() identity.Fields { return identity.Fields{} }

func (s *expiringSource) Authenticate(context.Context, *identity.Request) (*identity.Identity, error) {
	id := &identity.Identity{User: identity.User{Username: "alice"}, Skew: time.Duration(s.Skew)}
	if s.For != 0 {
		id.Expires = time.Now().Add(time.Duration(s.For))
	}
	return id, nil
}

// bearerSource reads Authorization, as sources for tokens do.
type bearerSource struct{}

func (*bearerSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_bearer", New: func() caddy.Module { return new(bearerSource) }}
}

func (*bearerSource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*bearerSource) Reads() identity.Fields {
	return identity.Fields{Names: []string{"Authorization"}}
}

func (*bearerSource) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	lines := r.Stripped.Lines("Authorization")
	switch {
	case len(lines) > 1:
		return nil, fmt.Errorf("%w: %d lines", identity.ErrMalformed, len(lines))
	case len(lines) == 0 || len(lines[0]) < 7 || lines[0][:7] != "Bearer ":
		return nil, identity.ErrAbsent
	}
	switch token := lines[0][7:]; token {
	case "good":
		return &identity.Identity{User: identity.User{Username: "alice"}}, nil
	case "unavailable":
		return nil, fmt.Errorf("%w: the API server is out of reach", identity.ErrUnavailable)
	case "forbidden":
		return nil, fmt.Errorf("%w: not you", identity.ErrForbidden)
	default:
		return nil, fmt.Errorf("%w: not a good token", identity.ErrRejected)
	}
}

// brokenSource breaks its contract in the way that its argument says.
type brokenSource struct {
	How string `json:"how,omitempty"`
}

func (*brokenSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_broken", New: func() caddy.Module { return new(brokenSource) }}
}

func (s *brokenSource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.Args(&s.How)
	return nil
}

func (*brokenSource) Reads() identity.Fields { return identity.Fields{} }

func (s *brokenSource) Authenticate(context.Context, *identity.Request) (*identity.Identity, error) {
	if s.How == "nothing" {
		return nil, nil //nolint:nilnil // this breaks the contract
	}
	return nil, breakDown(s.How)
}

// breakDown panics, or returns an error that wraps no sentinel, or two.
func breakDown(how string) error {
	switch how {
	case "panic":
		panic("with secret-token in it")
	case "abort":
		panic(http.ErrAbortHandler)
	case "index":
		none := make([]int, 0)
		return fmt.Errorf("never seen: %d", none[len(how)])
	case "error":
		return errors.New("something of its own")
	case "both":
		return fmt.Errorf("%w: %w", identity.ErrAbsent, identity.ErrRejected)
	default:
		return nil
	}
}

// brokenInjector breaks its contract likewise, after it has written half of its fields.
type brokenInjector struct {
	injectors.Scope

	How string `json:"how,omitempty"`
}

func (*brokenInjector) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_broken", New: func() caddy.Module { return new(brokenInjector) }}
}

func (i *brokenInjector) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.Args(&i.How)
	return nil
}

func (*brokenInjector) Writes() []string { return []string{"X-Half"} }

func (i *brokenInjector) Inject(_ context.Context, _ *identity.Identity, header http.Header) error {
	header.Set("X-Half", "written")
	return breakDown(i.How)
}

// Interface guards
var (
	_ identity.Source       = (*expiringSource)(nil)
	_ identity.Source       = (*bearerSource)(nil)
	_ identity.Source       = (*brokenSource)(nil)
	_ kubeidentity.Injector = (*brokenInjector)(nil)
	_ caddyfile.Unmarshaler = (*brokenInjector)(nil)
)
