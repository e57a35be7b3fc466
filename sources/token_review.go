// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
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

	// Audience are the audiences that a token must be for, at least one of them. Default:
	// those of the API server.
	Audience []string `json:"audience,omitempty"`

	// CacheTTL is how long a good verdict is kept at most, and never past the token's exp. A
	// revoked token is accepted for as long. Default: 10s.
	CacheTTL caddy.Duration `json:"cache_ttl,omitempty"`

	// NegativeCacheTTL is the same for a bad verdict. Default: 10s.
	NegativeCacheTTL caddy.Duration `json:"negative_cache_ttl,omitempty"`

	// CacheSize is how many good verdicts are kept, and how many bad ones. Default: 4096.
	CacheSize int `json:"cache_size,omitempty"`

	// Timeout of a review, including the time that it waits for its turn. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// QPS is how many reviews may begin in a second. Half of them are reserved for tokens
	// that were good within the last hour. Default: 100.
	QPS int `json:"qps,omitempty"`

	// MaxInFlight is how many reviews may be under way at once. Half of them are reserved for
	// tokens that were good within the last hour. Default: 32.
	MaxInFlight int `json:"max_in_flight,omitempty"`

	state    *reviewState
	stateKey string
	reviewer tokenreview.Reviewer
	counted  func(hit bool)
}

// CaddyModule returns the Caddy module information.
func (*TokenReview) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".token_review", New: func() caddy.Module { return new(TokenReview) }}
}

// maxUnknownReviews is how many tokens that were never good may wait for their review at
// once. Each is a request under way, of about 0.1 MiB: a flood is refused here before it
// takes much memory.
const maxUnknownReviews = 256

// reviewStates holds what outlives a configuration, by a hash of what it depends on.
var reviewStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// reviewState is what sources with the same settings share.
type reviewState struct {
	client *kubernetes.Client
	cache  *tokencache.Cache
	limit  *tokenreview.Limit
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
		return &reviewState{
			server: server,
			client: client,
			cache: tokencache.New(tokencache.Config{
				Size:        t.CacheSize,
				TTL:         time.Duration(t.CacheTTL),
				NegativeTTL: time.Duration(t.NegativeCacheTTL),
				Timeout:     time.Duration(t.Timeout),
				MaxUnknown:  maxUnknownReviews,
			}),
			limit: tokenreview.NewLimit(t.QPS, t.MaxInFlight),
		}, err
	})
	if err != nil {
		t.stateKey = ""
		return fmt.Errorf("token_review: %w", err)
	}
	if loaded {
		client.Close()
	}
	t.state = value.(*reviewState)
	metrics := guest.MetricsOf(ctx)
	took, err := metrics.ForReviews(t.state.limit.Waiting)
	if err == nil {
		t.counted, err = metrics.ForCache("token_review")
	}
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
	for _, number := range []struct {
		option string
		value  int64
	}{
		{"cache_ttl", int64(t.CacheTTL)},
		{"negative_cache_ttl", int64(t.NegativeCacheTTL)},
		{"cache_size", int64(t.CacheSize)},
		{"timeout", int64(t.Timeout)},
		{"qps", int64(t.QPS)},
		{"max_in_flight", int64(t.MaxInFlight)},
	} {
		if number.value < 0 {
			return fmt.Errorf("token_review: %s is less than zero", number.option)
		}
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
	key := t.state.cache.Key(token)
	verdict, found, err := t.state.cache.Get(key, r.Now())
	t.counted(found)
	if !found {
		verdict, err = t.state.cache.Judge(ctx, key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
			return t.reviewer.Review(ctx, token, known)
		})
	}
	if err != nil {
		return nil, err
	}
	return r.Proven(identity.Identity{
		User:          verdict.User,
		AllowReserved: verdict.AllowReserved,
		Expires:       verdict.Expires,
		Memo:          verdict.Memo,
	}, token), nil
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
	return option.Block(d, option.Options{
		"token_header":       t.parseTokenHeader,
		"max_token_size":     t.parseMaxTokenSize,
		"audience":           option.List(&t.Audience, option.Each(option.NotEmpty)),
		"cache_ttl":          option.Duration(&t.CacheTTL),
		"negative_cache_ttl": option.Duration(&t.NegativeCacheTTL),
		"cache_size":         option.Number(&t.CacheSize),
		"timeout":            option.Duration(&t.Timeout),
		"qps":                option.Number(&t.QPS),
		"max_in_flight":      option.Number(&t.MaxInFlight),
	})
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
