// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// Asking is what sources have in common that ask a server about each token: the API server, or
// an introspection endpoint. Verdicts are kept, and a flood of invented tokens neither reaches
// the server nor delays users who were there before.
type Asking struct {
	// CacheTTL is how long a good verdict is kept at most, and never past the token's exp. A
	// revoked token is accepted for as long. Default: 10s.
	CacheTTL caddy.Duration `json:"cache_ttl,omitempty"`

	// NegativeCacheTTL is how long a bad verdict is kept. Default: 10s.
	NegativeCacheTTL caddy.Duration `json:"negative_cache_ttl,omitempty"`

	// CacheSize is how many good verdicts are kept, and how many bad ones: a flood of bad tokens
	// does not push good verdicts out. Default: 4096.
	CacheSize int `json:"cache_size,omitempty"`

	// Timeout of a review, including the time that it waits for its turn; then the request gets
	// 503. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// QPS is how many reviews may begin in a second. Half of them are reserved for tokens that
	// were good within the last hour. Default: 100.
	QPS int `json:"qps,omitempty"`

	// MaxInFlight is how many reviews may be under way at once. Half of them are reserved for
	// tokens that were good within the last hour. Default: 32.
	MaxInFlight int `json:"max_in_flight,omitempty"`

	counted func(hit bool)
	skew    time.Duration // see [identity.Identity]
	binding identity.CertificateBound
}

// maxUnknownReviews is how many tokens that were never good may wait for their review at
// once. Each is a request under way, of about 0.1 MiB: a flood is refused here before it
// takes much memory.
const maxUnknownReviews = 256

// asked is what is kept of one server's verdicts. It outlives a configuration.
type asked struct {
	cache *tokencache.Cache
	limit *tokencache.Limit
}

func (a *Asking) newAsked() asked {
	return asked{
		cache: tokencache.New(tokencache.Config{
			Size:        a.CacheSize,
			TTL:         time.Duration(a.CacheTTL),
			NegativeTTL: time.Duration(a.NegativeCacheTTL),
			Timeout:     time.Duration(a.Timeout),
			MaxUnknown:  maxUnknownReviews,
		}),
		limit: tokencache.NewLimit(a.QPS, a.MaxInFlight),
	}
}

// measure makes the metrics of a source. took is told how long a review took.
func (a *Asking) measure(ctx caddy.Context, source string, of *asked) (took func(seconds float64), err error) {
	metrics := guest.MetricsOf(ctx)
	if took, err = metrics.ForReviews(of.limit.Waiting); err != nil {
		return nil, err
	}
	a.counted, err = metrics.ForCache(source)
	return took, err
}

// validateAsking refuses limits that let nothing through.
func (a *Asking) validateAsking() error {
	for _, number := range []struct {
		option string
		value  int64
	}{
		{"cache_ttl", int64(a.CacheTTL)},
		{"negative_cache_ttl", int64(a.NegativeCacheTTL)},
		{"cache_size", int64(a.CacheSize)},
		{"timeout", int64(a.Timeout)},
		{"qps", int64(a.QPS)},
		{"max_in_flight", int64(a.MaxInFlight)},
	} {
		if number.value < 0 {
			return fmt.Errorf("%s is less than zero", number.option)
		}
	}
	return nil
}

// tokenReviewer asks a server about one token.
type tokenReviewer interface {
	Review(ctx context.Context, token string, known bool) (tokencache.Verdict, error)
}

// ask returns the identity that a token proves, by the verdict that is kept or by a new one.
func (a *Asking) ask(ctx context.Context, r *identity.Request, of *asked, token string, by tokenReviewer) (*identity.Identity, error) {
	key := of.cache.Key(token)
	verdict, found, err := of.cache.Get(key, r.Now())
	a.counted(found)
	if !found {
		verdict, err = of.cache.Judge(ctx, key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
			return by.Review(ctx, token, known)
		})
	}
	if err == nil {
		err = a.binding.Check(r, verdict.Confirmation) // also if the verdict was kept: another client may have the token
	}
	if err != nil {
		return nil, err
	}
	return r.Proven(identity.Identity{
		User:          verdict.User,
		AllowReserved: verdict.AllowReserved,
		Expires:       verdict.Expires,
		Skew:          a.skew,
		Memo:          verdict.Memo,
	}, token), nil
}

func (a *Asking) askingOptions() option.Options {
	return option.Options{
		"cache_ttl":          option.Duration(&a.CacheTTL),
		"negative_cache_ttl": option.Duration(&a.NegativeCacheTTL),
		"cache_size":         option.Number(&a.CacheSize),
		"timeout":            option.Duration(&a.Timeout),
		"qps":                option.Number(&a.QPS),
		"max_in_flight":      option.Number(&a.MaxInFlight),
	}
}
