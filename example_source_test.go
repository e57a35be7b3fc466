// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Badge is a source for devices that know a secret number.
type Badge struct {
	// Names are the users by their number.
	Names map[string]string `json:"names,omitempty"`
}

// CaddyModule returns the Caddy module information. The last part of the ID is the word
// in the configuration.
func (*Badge) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.badge", New: func() caddy.Module { return new(Badge) }}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	badge {
//		<number> <user>
//	}
func (b *Badge) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		return d.ArgErr()
	}
	b.Names = make(map[string]string)
	for d.NextBlock(0) {
		number, args := d.Val(), d.RemainingArgs()
		if len(args) != 1 {
			return d.ArgErr()
		}
		if b.Names[number] != "" {
			return d.Errf("%s already specified", number)
		}
		b.Names[number] = args[0]
	}
	return nil
}

// Validate refuses a user without a name. The handler would refuse each of its requests.
func (b *Badge) Validate() error {
	for _, user := range b.Names {
		if user == "" {
			return errors.New("badge: a user has no name")
		}
	}
	return nil
}

// Reads names the fields that are stripped from every request. They hold a credential, so
// a number that is not known is a bad credential, and the client is not anonymous.
func (*Badge) Reads() identity.Fields {
	return identity.Fields{Names: []string{"X-Badge"}, Credential: true}
}

// Authenticate looks for the field among those that were stripped.
func (b *Badge) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	lines := r.Stripped.Lines("X-Badge")
	if len(lines) == 0 {
		return nil, identity.ErrAbsent // the next source is asked
	}
	if len(lines) > 1 {
		return nil, fmt.Errorf("%w: %d lines of X-Badge", identity.ErrMalformed, len(lines))
	}
	user, ok := b.Names[lines[0]]
	if !ok {
		return nil, fmt.Errorf("%w: the number on the badge is not known", identity.ErrRejected)
	}
	return &identity.Identity{
		User: identity.User{Username: user, Groups: []string{"devices"}},
	}, nil
}

// Interface guards
var (
	_ caddy.Validator       = (*Badge)(nil)
	_ caddyfile.Unmarshaler = (*Badge)(nil)
	_ identity.Source       = (*Badge)(nil)
)

// A source of your own is a Caddy module in the namespace http.kube_identity.sources.
func Example_source() {
	caddy.RegisterModule(new(Badge)) // in a package of your own this is in func init

	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", []byte(`{
		"sources": [
			{"source": "badge", "names": {"4711": "kiosk"}},
			{"source": "anonymous", "user": "guest"}
		],
		"injectors": [{"injector": "headers", "user": "X-User"}]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	upstream := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		fmt.Println("the upstream received", r.Header)
		return nil
	})
	for _, number := range []string{"4711", "0815", ""} {
		r := httptest.NewRequest(http.MethodGet, "https://dashboard.example/", http.NoBody)
		r.Header.Set("X-User", "admin") // this does not help the client
		if number != "" {
			r.Header.Set("X-Badge", number)
		}
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
		err := module.(caddyhttp.MiddlewareHandler).ServeHTTP(httptest.NewRecorder(), r, upstream)
		if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			fmt.Println("refused with", refused.StatusCode)
		}
	}
	// Output:
	// the upstream received map[X-User:[kiosk]]
	// refused with 401
	// the upstream received map[X-User:[guest]]
}
