// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokenreview"
)

func init() {
	caddy.RegisterModule(new(TokenReview))
}

// TokenReview is the source for bearer tokens that only the API server can verify: tokens
// of service accounts, and whatever else the cluster accepts, in any form: the API server
// decides about every word of visible ASCII. The API server is asked by a
// TokenReview when a token is first seen; then its verdict is kept for a short while.
//
// While the API server is unreachable, kept verdicts stay valid and requests with other
// tokens are refused with 503. The proxy needs the permission to create tokenreviews
// (ClusterRole system:auth-delegator, or examples/rbac.yaml).
type TokenReview struct {
	Bearer

	// Audience are the audiences that a token must be for, at least one of them. Without it the
	// token must be for the API server itself, and then any upstream that sees the token can use
	// it there: give tokens for your dashboard an audience of their own. Default: those of the
	// API server.
	Audience []string `json:"audience,omitempty"`

	Asking

	state    *reviewState
	stateKey string
	reviewer tokenreview.Reviewer
}

// CaddyModule returns the Caddy module information.
func (*TokenReview) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".token_review", New: func() caddy.Module { return new(TokenReview) }}
}

// reviewStates holds what outlives a configuration, by a hash of what it depends on.
var reviewStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// reviewState is what sources with the same settings share.
type reviewState struct {
	asked
	client *kubernetes.Client
	server string // key of [guest.WatchAPIServer]
}

// Destruct implements caddy.Destructor.
func (s *reviewState) Destruct() error {
	guest.Retire(s, func() {
		s.cache.Close()
		s.client.Close()
	})
	return guest.UnwatchAPIServer(&s.server)
}

// Provision shares the state of an earlier configuration with the same settings. The API
// server need not be reachable yet.
func (t *TokenReview) Provision(ctx caddy.Context) error {
	if err := guest.Expand(t); err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	t.provisionBearer()
	client, key, err := guest.NewKubernetesClient(ctx)
	if err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	t.stateKey, err = guest.StateKey("token_review", t, key)
	if err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	value, loaded, err := reviewStates.LoadOrNew(t.stateKey, func() (caddy.Destructor, error) {
		server, err := guest.WatchAPIServer(client)
		return &reviewState{asked: t.newAsked(), server: server, client: client}, err
	})
	if err != nil {
		t.stateKey = ""
		return fmt.Errorf("token_review: %w", err)
	}
	if loaded {
		client.Close()
	}
	t.state = value.(*reviewState)
	took, err := t.measure(ctx, "token_review", &t.state.asked)
	if err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	t.reviewer = tokenreview.Reviewer{
		Client:    t.state.client,
		Audiences: t.Audience,
		Limit:     t.state.limit,
		OnReview:  took,
	}
	return nil
}

// Cleanup gives the state back; the last one to do so ends it.
func (t *TokenReview) Cleanup() error { return guest.Release(reviewStates, &t.stateKey) }

// Validate refuses limits that let nothing through.
func (t *TokenReview) Validate() error {
	if err := t.validateAsking(); err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	if err := t.validateBearer(); err != nil {
		return fmt.Errorf("token_review: %w", err)
	}
	if err := option.Each(option.NotEmpty)(t.Audience); err != nil {
		return fmt.Errorf("token_review: audience: %w", err)
	}
	return nil
}

// Authenticate implements [identity.Source].
func (t *TokenReview) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	token, err := t.token(r)
	if err != nil {
		return nil, err
	}
	return t.ask(ctx, r, &t.state.asked, token, &t.reviewer)
}

// TokenIssuers implements [identity.TokenIssuer]: the API server decides about every token.
func (*TokenReview) TokenIssuers() []string { return nil }

// ClusterNeeds implements [identity.ClusterUser].
func (*TokenReview) ClusterNeeds() identity.ClusterNeeds {
	return identity.ClusterNeeds{ReviewTokens: true, ServiceAccounts: true}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	token_review [{
//		token_header       <field>...
//		max_token_size     <size>
//		audience           <value>...
//		cache_ttl          <duration>
//		negative_cache_ttl <duration>
//		cache_size         <n>
//		timeout            <duration>
//		qps                <n>
//		max_in_flight      <n>
//	}]
func (t *TokenReview) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		return d.ArgErr()
	}
	options := t.askingOptions()
	options["token_header"] = t.parseTokenHeader
	options["max_token_size"] = t.parseMaxTokenSize
	options["audience"] = option.List(&t.Audience, option.Each(option.NotEmpty))
	return option.Block(d, options)
}

// Interface guards
var (
	_ caddy.Provisioner     = (*TokenReview)(nil)
	_ caddy.CleanerUpper    = (*TokenReview)(nil)
	_ caddy.Validator       = (*TokenReview)(nil)
	_ caddyfile.Unmarshaler = (*TokenReview)(nil)
	_ identity.Source       = (*TokenReview)(nil)
	_ identity.TokenIssuer  = (*TokenReview)(nil)
	_ identity.ClusterUser  = (*TokenReview)(nil)
)
