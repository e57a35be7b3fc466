// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(AuthenticationConfig))
}

// AuthenticationConfig is the source for tokens of the issuers in a Kubernetes
// AuthenticationConfiguration file (apiserver.config.k8s.io/v1 or v1beta1): the same file
// that kube-apiserver reads with --authentication-config, with its claim mappings,
// validation rules and CEL expressions. A token is the same user here and there.
//
// Read are its jwt authenticators; "anonymous" is for the API server itself. The file is
// read again when it changes. A file that cannot be read, or says something that the API
// server would not accept, is an error at load, and later the last good one stays. A file
// without issuers is an error at load; later it means that no token is accepted any more.
type AuthenticationConfig struct {
	// File is the path of the AuthenticationConfiguration. It is read again about a second after
	// it changed. A file that the API server would not take is refused; later the last good one
	// stays in use, and the log says so. Required.
	File string `json:"file,omitempty"`

	Bearer
	Bound

	state    *authenticationState
	stateKey string
	counted  func(hit bool)
}

// CaddyModule returns the Caddy module information.
func (*AuthenticationConfig) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  guest.Sources + ".authentication_config",
		New: func() caddy.Module { return new(AuthenticationConfig) },
	}
}

// Provision reads the file, and takes up the keys and verdicts that an earlier
// configuration left. It does not wait for the issuers.
func (a *AuthenticationConfig) Provision(ctx caddy.Context) error {
	if err := guest.Expand(a); err != nil {
		return fmt.Errorf("authentication_config: %w", err)
	}
	a.provisionBearer()
	a.setBound()
	if a.File == "" {
		return errors.New("authentication_config: there is no file")
	}
	if err := a.acquireState(); err != nil {
		return fmt.Errorf("authentication_config: %w", err)
	}
	metrics := guest.MetricsOf(ctx)
	counted, err := metrics.ForCache("authentication_config")
	if err != nil {
		return fmt.Errorf("authentication_config: %w", err)
	}
	a.counted = counted
	return metrics.WatchKeySets(a.state.showKeys)
}

// Cleanup gives the state back; the last one to do so ends it.
func (a *AuthenticationConfig) Cleanup() error {
	return guest.Release(authenticationStates, &a.stateKey)
}

// Validate refuses fields that hold no token.
func (a *AuthenticationConfig) Validate() error {
	if err := errors.Join(a.validateBearer(), a.validateBound()); err != nil {
		return fmt.Errorf("authentication_config: %w", err)
	}
	return nil
}

// Authenticate implements [identity.Source].
func (a *AuthenticationConfig) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	token, err := a.token(r)
	if err != nil {
		return nil, err
	}
	authenticator := *a.state.current()
	authenticator.OnLookup, authenticator.Bound = a.counted, a.bound()
	return authenticator.Authenticate(ctx, r, token)
}

// TokenIssuers implements [identity.TokenIssuer].
func (a *AuthenticationConfig) TokenIssuers() []string {
	var issuers []string
	for _, issuer := range a.state.current().Issuers {
		issuers = append(issuers, issuer.URL)
	}
	return issuers
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	authentication_config <file> [{
//		token_header      <field>...
//		max_token_size    <size>
//		certificate_bound off|present|required
//	}]
func (a *AuthenticationConfig) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if !d.AllArgs(&a.File) {
		return d.ArgErr()
	}
	if err := option.NotEmpty(a.File); err != nil {
		return d.Errf("parsing authentication_config: %v", err)
	}
	return option.Block(d, option.Options{
		"token_header":      a.parseTokenHeader,
		"max_token_size":    a.parseMaxTokenSize,
		"certificate_bound": a.boundOption(),
	})
}

// Interface guards
var (
	_ caddy.Provisioner            = (*AuthenticationConfig)(nil)
	_ caddy.CleanerUpper           = (*AuthenticationConfig)(nil)
	_ caddy.Validator              = (*AuthenticationConfig)(nil)
	_ caddyfile.Unmarshaler        = (*AuthenticationConfig)(nil)
	_ identity.Source              = (*AuthenticationConfig)(nil)
	_ identity.TokenIssuer         = (*AuthenticationConfig)(nil)
	_ identity.CertificateDemander = (*AuthenticationConfig)(nil)
)
