// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/introspection"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

func init() {
	caddy.RegisterModule(new(Introspection))
}

// Introspection is the source for opaque tokens of one authorization server, which is asked about
// each of them (OAuth 2.0 Token Introspection, RFC 7662) when it is first seen; then the verdict
// is kept for a short while. It takes every bearer token that no earlier source took, also JWTs,
// so that it is the last source of tokens, as a rule.
//
// Options that name a claim are those of oidc, for members of the answer. The answer must say
// that the token is active, from Issuer, for an Audience, and until when.
//
// While the server is unreachable, kept verdicts stay valid and requests with other tokens are
// refused with 503.
type Introspection struct {
	// URL is the introspection endpoint: an https URL, or http for a loopback address. Required.
	URL string `json:"url,omitempty"`

	Client

	// Issuer is compared with the answer's iss, byte for byte. Required.
	Issuer string `json:"issuer,omitempty"`

	// Audience are the accepted audiences: the answer's aud must contain at least one of them. Required.
	Audience []string `json:"audience,omitempty"`

	Bearer
	Bound
	ClaimOptions

	// ClockSkew is how long a token is valid after its exp and before its nbf and iat, since the
	// server's clock may differ. Zero is allowed, less is refused. Where the token itself is sent
	// to the upstream, it is not valid after its exp. Default: 1m.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`

	// TrustPoolRaw is the CAs of the endpoint's certificate, by any of Caddy's modules. Default:
	// the system's.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	Asking

	state        *introspectionState
	stateKey     string // in introspectionStates
	introspector introspection.Introspector
}

// CaddyModule returns the Caddy module information.
func (*Introspection) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".introspection", New: func() caddy.Module { return new(Introspection) }}
}

// Provision shares the verdicts of an earlier configuration with the same settings. The endpoint
// need not be reachable yet.
func (i *Introspection) Provision(ctx caddy.Context) error {
	if err := guest.Expand(i); err != nil {
		return fmt.Errorf("introspection: %w", err)
	}
	if _, err := fetch.ParseSecureURL(i.URL); err != nil { // its errors do not show a password in it
		return fmt.Errorf("introspection: parsing the url: %w", err)
	}
	if err := i.checkRequired(); err != nil {
		return fmt.Errorf("introspection %s: %w", i.URL, err)
	}
	i.setClaimDefaults()
	i.setBound()
	i.binding = i.bound()
	if i.ClockSkew == nil {
		skew := caddy.Duration(time.Minute)
		i.ClockSkew = &skew
	}
	i.provisionBearer()
	state, err := i.acquireState(ctx)
	if err != nil {
		return fmt.Errorf("introspection %s: %w", i.URL, err)
	}
	i.state = state
	took, err := i.measure(ctx, "introspection", &state.asked)
	if err != nil {
		return fmt.Errorf("introspection %s: %w", i.URL, err)
	}
	i.skew = time.Duration(*i.ClockSkew)
	i.introspector = introspection.Introspector{
		Endpoint:  state.endpoint,
		ClientID:  i.ClientID,
		Auth:      i.auth(),
		Issuer:    i.Issuer,
		Audiences: i.Audience,
		Skew:      i.skew,
		Mapper:    i.mapping(i.Issuer, &state.groups),
		Limit:     state.limit,
		OnReview:  took,
	}
	return nil
}

// Cleanup gives the state back; the last one to do so ends it.
func (i *Introspection) Cleanup() error { return guest.Release(introspectionStates, &i.stateKey) }

// checkRequired refuses settings without which no token could be introspected, with the files.
func (i *Introspection) checkRequired() error {
	if err := i.checkPresent(); err != nil {
		return err
	}
	if slices.Contains(i.Audience, "") {
		return errors.New("an audience is empty")
	}
	if err := codeflow.CheckClientID(i.ClientID); err != nil {
		return err
	}
	return i.checkAuth()
}

// Validate refuses settings that could not confirm a token, and limits that let nothing through.
func (i *Introspection) Validate() error {
	var skew error
	if *i.ClockSkew < 0 {
		skew = errors.New("clock_skew is less than zero")
	}
	if err := errors.Join(skew, i.validateBearer(), i.validateBound(), i.validateClaims(), i.validateAsking()); err != nil {
		return fmt.Errorf("introspection %s: %w", i.URL, err)
	}
	return nil
}

// Authenticate implements [identity.Source].
func (i *Introspection) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	token, err := i.token(r)
	if err != nil {
		return nil, err
	}
	return i.ask(ctx, r, &i.state.asked, token, &i.introspector)
}

// TokenIssuers implements [identity.TokenIssuer]: the server is asked about every token, since an
// opaque one does not say whose it is.
func (*Introspection) TokenIssuers() []string { return nil }

// Remarks implements [identity.Remarker].
func (i *Introspection) Remarks() []string {
	if missing := i.state.groups.Missing(); missing != nil {
		return []string{"no groups: " + missing.Error()}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner            = (*Introspection)(nil)
	_ caddy.CleanerUpper           = (*Introspection)(nil)
	_ caddy.Validator              = (*Introspection)(nil)
	_ identity.Source              = (*Introspection)(nil)
	_ identity.CertificateDemander = (*Introspection)(nil)
	_ identity.TokenIssuer         = (*Introspection)(nil)
	_ identity.Remarker            = (*Introspection)(nil)
)
