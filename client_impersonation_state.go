// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/accessreview"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// impersonationStates holds what outlives a configuration, by a hash of what it depends on.
var impersonationStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// reviewsName is the name of the cache in metrics and in the admin API.
const reviewsName = "client_impersonation"

// impersonationState is what sites share that ask the same API server. A verdict depends on the
// API server, on the requester as the API server sees that user, and on nothing of the site.
type impersonationState struct {
	client *kubernetes.Client
	cache  *tokencache.Cache
	limit  *tokencache.Limit
	server string // key of [guest.WatchAPIServer]
}

// Destruct implements caddy.Destructor.
func (s *impersonationState) Destruct() error {
	guest.Retire(s, func() {
		s.cache.Close()
		s.client.Close()
	})
	return guest.UnwatchAPIServer(&s.server)
}

// Inspect implements [guest.Inspector].
func (s *impersonationState) Inspect(into *guest.State) {
	stats := s.cache.Stats(into.Time)
	into.AddCache(guest.CacheState{
		Source: reviewsName, Size: stats.Size, Verdicts: stats.Good, Refusals: stats.Bad,
		Judging: stats.Judging, Hits: stats.Hits, Misses: stats.Misses,
	}, stats.Users)
}

// Flush implements [guest.Flusher].
func (s *impersonationState) Flush(what guest.Flush) guest.Flushed {
	if !what.Concerns(reviewsName) {
		return guest.Flushed{}
	}
	good, bad := accessreview.Flush(s.cache, what.User)
	return guest.Flushed{Verdicts: good, Refusals: bad}
}

// impersonationReviews is what a handler has that lets clients act as other users.
type impersonationReviews struct {
	reviewer  accessreview.Reviewer
	injectors map[*configuredSource]identity.Injector // that writes the source's users for the API server
	stateKey  string
}

// provisionReviews sets up client_impersonation review. The API server need not be reachable yet.
func (h *Handler) provisionReviews(ctx caddy.Context) error {
	if h.ClientImpersonation != impersonationReview {
		return nil
	}
	client, key, err := guest.NewAnonymousKubernetesClient(ctx)
	if err != nil {
		return fmt.Errorf("client_impersonation: %w", err)
	}
	key, err = guest.StateKey(reviewsName, nil, key)
	if err != nil {
		return fmt.Errorf("client_impersonation: %w", err)
	}
	value, loaded, err := impersonationStates.LoadOrNew(key, func() (caddy.Destructor, error) {
		server, err := guest.WatchAPIServer(client)
		return &impersonationState{
			client: client, cache: accessreview.NewCache(), limit: tokencache.NewLimit(0, 0), server: server,
		}, err
	})
	if err != nil {
		return fmt.Errorf("client_impersonation: %w", err)
	}
	if loaded {
		client.Close()
	}
	state := value.(*impersonationState)
	h.reviews = &impersonationReviews{stateKey: key, injectors: make(map[*configuredSource]identity.Injector)}
	h.reviews.reviewer = accessreview.Reviewer{Client: state.client, Cache: state.cache, Limit: state.limit}
	for _, src := range h.sources {
		if n := slices.IndexFunc(src.injectors, impersonatesByCredential); n >= 0 {
			h.reviews.injectors[src] = src.injectors[n].Injector
		}
	}
	h.remarkOnDots(ctx)
	h.reviews.reviewer.OnReview, err = h.metrics.ForReviews(state.limit.Waiting)
	if err == nil {
		h.reviews.reviewer.OnLookup, err = h.metrics.ForCache(reviewsName)
	}
	if err != nil {
		return fmt.Errorf("client_impersonation: %w", err)
	}
	return nil
}

// remarkOnDots says that Caddy drops fields with a dot before any handler sees them: a client that
// asks for kubectl --as-user-extra example.com/tenant=acme would act without that.
func (h *Handler) remarkOnDots(ctx caddy.Context) {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	expected := func(name string) bool { return strings.HasPrefix(strings.ToLower(name), "impersonate-extra-") }
	if server == nil || slices.ContainsFunc(server.ExpectedDotHeaders, expected) {
		return
	}
	h.logger.Info("client_impersonation review: Caddy drops Impersonate-Extra-* with a dot in the key (kubectl --as-user-extra), "+
		"and the client acts without them: list the keys that clients may need in the global options",
		zap.String("global_options", "servers { expected_dot_headers Impersonate-Extra-Example.com%2f* }"))
}

// impersonatesByCredential says whether an injector makes the API server act as the user by a
// credential that it writes: the same fields can ask on behalf of that user.
func impersonatesByCredential(injector configuredInjector) bool {
	_, credential := identity.Overlap(injector.Writes(), []string{"Authorization"})
	return credential && writesImpersonation(injector)
}

// validateReviews refuses client_impersonation review where the API server could not be asked on
// behalf of the users of a source.
func (h *Handler) validateReviews() error {
	if h.reviews == nil {
		return nil
	}
	var errs []error
	users := false
	for _, src := range h.sources {
		if field, found := identity.Overlap(src.Reads().Names, []string{"Impersonate-*"}); found {
			errs = append(errs, fmt.Errorf("client_impersonation review: the source %s reads %s, by which clients ask to be another user", src.name, field))
		}
		if _, anonymous := src.Source.(identity.Fallback); anonymous {
			continue
		}
		users = true
		switch {
		case h.reviews.injectors[src] != nil:
		case src.sends:
			errs = append(errs, fmt.Errorf("client_impersonation review: the source %s has inject token, and the upstream has to judge by itself "+
				"whom its user may impersonate", src.name))
		default:
			errs = append(errs, fmt.Errorf("client_impersonation review: the source %s has no inject impersonation with a token_file or a service_account, "+
				"so the API server cannot be asked on behalf of its users", src.name))
		}
	}
	if !users {
		errs = append(errs, errors.New("client_impersonation review: no source has users who could impersonate others"))
	}
	return errors.Join(errs...)
}

// releaseReviews gives the state back.
func (h *Handler) releaseReviews() error {
	if h.reviews == nil {
		return nil
	}
	return guest.Release(impersonationStates, &h.reviews.stateKey)
}

// Interface guards
var (
	_ guest.Inspector = (*impersonationState)(nil)
	_ guest.Flusher   = (*impersonationState)(nil)
)
