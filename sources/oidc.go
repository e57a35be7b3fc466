// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(OIDC))
}

// OIDC is the source for tokens of one OpenID Connect issuer (JWTs), which are verified
// here. Its words and defaults are those of kube-apiserver's flags --oidc-*. There may be
// several, one for each issuer: the token's iss only selects which one is asked. A second one
// of the same issuer is refused, unless it reads a field that the first does not.
//
// Options that name a claim take its name, or a JSON Pointer (RFC 6901) if they begin with a
// slash: "/realm_access/roles" is the claim roles in the object realm_access.
//
// Keys come from the issuer's discovery document, from JWKSURL or from JWKSFile. The
// configuration loads even if the issuer is unreachable: until it is reachable, its tokens
// get 503. A token that cannot be verified gets 401.
type OIDC struct {
	// Issuer is compared with the token's iss, byte for byte. With discovery it is an https URL
	// (http for a loopback address), without a query and a fragment. Required.
	Issuer string `json:"issuer,omitempty"`

	// Audience are client IDs. The token's aud must contain at least one of them. With LoginBlock
	// the client_id of the login must be among them, and is the only one by default. Required without
	// LoginBlock.
	Audience []string `json:"audience,omitempty"`

	// AuthorizedParty are the clients, besides those in Audience, to which a token may have been
	// issued: with this option a token must say so (azp), however many audiences it has. Keycloak
	// gives the access tokens of all clients the audience "account". Default: only the azp of a
	// token for several audiences is checked, if there is one; it must be in Audience.
	AuthorizedParty []string `json:"authorized_party,omitempty"`

	Bearer
	Bound

	// DiscoveryURL is the whole URL at which the issuer's discovery document is read, such as
	// https://keycloak.auth.svc:8443/realms/main/.well-known/openid-configuration inside the
	// cluster. The document's issuer must still be Issuer. An https URL, or http for a loopback
	// address; refused beside JWKSURL and JWKSFile. Default: below Issuer, at
	// /.well-known/openid-configuration.
	DiscoveryURL string `json:"discovery_url,omitempty"`

	// JWKSURL is where the issuer's keys are, without discovery: an https URL, or http for a
	// loopback address. Default: as the discovery document says, which must name an https URL if
	// it came by https.
	JWKSURL string `json:"jwks_url,omitempty"`

	// JWKSFile is a file with the issuer's keys (RFC 7517), which is read again when it changes.
	// With it the issuer is never asked over the network. A file without a key that can be used
	// is refused, unless its list of keys is empty: then the issuer has no keys, and its tokens
	// are refused. Default: none.
	JWKSFile string `json:"jwks_file,omitempty"`

	ClaimOptions

	// SigningAlgs are the algorithms that the issuer signs with: RS256, RS384, RS512, ES256,
	// ES384, ES512, PS256, PS384, PS512, EdDSA. Default: all of these that fit the type of the
	// key.
	SigningAlgs []string `json:"signing_algs,omitempty"`

	// ClockSkew is how long a token is valid after its exp and before its nbf, since the issuer's
	// clock may differ. Zero is allowed, less is refused. Where the token itself is sent to the
	// upstream, it is not valid after its exp: the upstream would refuse it, and Kiali answers
	// 500. Default: 1m.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`

	// TrustPoolRaw is the CAs of the issuer's TLS certificate, by any of Caddy's modules. It is
	// refused beside JWKSFile. Default: the system's.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// GroupsFrom is where the groups are that the issuer left out of a token because there are
	// too many (group overage). Default: such a token is refused with 403.
	GroupsFrom *GroupsFrom `json:"groups_from,omitempty"`

	// LoginBlock lets browsers log in at the issuer. Default: they do not.
	LoginBlock *OIDCLogin `json:"login,omitempty"`

	authenticator oidc.Authenticator
	login         *guest.Login
	groups        *oidc.GroupsWatch
	keys          issuerKeySet
	hasPool       bool
	stateKey      string // in issuerStates
}

// CaddyModule returns the Caddy module information.
func (*OIDC) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".oidc", New: func() caddy.Module { return new(OIDC) }}
}

// Provision shares the keys and verdicts of an earlier configuration with the same
// settings. It does not wait for the issuer.
func (o *OIDC) Provision(ctx caddy.Context) error {
	if err := guest.Expand(o); err != nil {
		return fmt.Errorf("oidc: %w", err)
	}
	if err := o.checkIssuer(); err != nil { // names the option, where the keys' own check could not
		return err
	}
	if err := o.provisionLogin(); err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	if err := o.provisionGroups(); err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	o.setDefaults()
	o.provisionBearer()
	o.hasPool = o.TrustPoolRaw != nil // loading a guest module clears its field
	state, err := o.acquireState(ctx)
	if err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	metrics := guest.MetricsOf(ctx)
	counted, err := metrics.ForCache("oidc")
	if err == nil {
		err = metrics.WatchKeySets(state.showKeys)
	}
	if err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	o.groups, o.keys = &state.groups, state.keys
	if state.provider != nil {
		o.login = o.newLogin(state)
	}
	skew := time.Duration(*o.ClockSkew)
	o.authenticator = oidc.Authenticator{
		Issuers: []*oidc.Issuer{{
			URL:        o.Issuer,
			Audiences:  o.Audience,
			CheckParty: true,
			Parties:    o.AuthorizedParty,
			Algorithms: o.SigningAlgs,
			Skew:       skew,
			Early:      skew,
			Keys:       state.keys,
			Mapper:     o.mapper(state),
		}},
		Skew:     skew,
		Bound:    o.bound(),
		Cache:    state.cache,
		OnLookup: counted,
	}
	return nil
}

// Cleanup gives the state back; the last one to do so ends it.
func (o *OIDC) Cleanup() error { return guest.Release(issuerStates, &o.stateKey) }

// setDefaults fills in what is not said.
func (o *OIDC) setDefaults() {
	o.setBound()
	o.setClaimDefaults()
	if o.ClockSkew == nil {
		skew := caddy.Duration(time.Minute)
		o.ClockSkew = &skew
	}
	if len(o.SigningAlgs) == 0 {
		o.SigningAlgs = oidc.Algorithms()
	}
}

// Authenticate implements [identity.Source].
func (o *OIDC) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	token, err := o.token(r)
	if o.login != nil && errors.Is(err, identity.ErrAbsent) {
		token, err = o.sessionToken(r)
		if r.Session.Issued {
			ctx = oidc.FromIssuer(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return o.authenticator.Authenticate(ctx, r, token)
}

// TokenIssuers implements [identity.TokenIssuer].
func (o *OIDC) TokenIssuers() []string { return []string{o.Issuer} }

// Remarks implements [identity.Remarker].
func (o *OIDC) Remarks() []string {
	if missing := o.groups.Missing(); missing != nil {
		return []string{"no groups: " + missing.Error()}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner            = (*OIDC)(nil)
	_ caddy.CleanerUpper           = (*OIDC)(nil)
	_ caddy.Validator              = (*OIDC)(nil)
	_ identity.Source              = (*OIDC)(nil)
	_ identity.CertificateDemander = (*OIDC)(nil)
	_ identity.TokenIssuer         = (*OIDC)(nil)
	_ identity.Remarker            = (*OIDC)(nil)
)
