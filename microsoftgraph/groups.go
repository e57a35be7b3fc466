// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package microsoftgraph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

const (
	// keptFor is how long an answer counts: a user who has left a group is in it for as long.
	keptFor = 5 * time.Minute

	// maxTime is for one question, with a new access token. It is below the time that the
	// judgement of a token may take, which waits for it.
	maxTime = 9 * time.Second

	// MaxGroups is how many groups a user may have. With more an answer could not be kept, and
	// the user's every request would ask; an identity has 32 KiB in all, which is about as many.
	MaxGroups = 1000

	// qps and maxInFlight keep the proxy far below Graph's own limits, which are for all
	// programs of a tenant.
	qps         = 20
	maxInFlight = 8

	// maxUsers is how many users' answers are kept, and maxWaiting how many questions wait.
	maxUsers   = 2048
	maxWaiting = 128
)

// Config is one client of a tenant.
type Config struct {
	// Cloud is one of [Clouds]. Empty: public.
	Cloud string

	// Tenant is the ID of the tenant, of whose users alone it asks.
	Tenant string

	ClientID string
	Auth     codeflow.ClientAuth

	// AllGroups asks for groups too that are not for security, such as distribution lists.
	AllGroups bool

	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// Groups asks for the groups of users. Make one with [New], and end it with [Groups.Close].
type Groups struct {
	config Config
	cloud  cloud
	cache  *tokencache.Cache
	limit  *tokencache.Limit

	mu        sync.Mutex
	access    accessToken
	throttled time.Time // until when nothing is asked
}

// New refuses a configuration that cannot be used. It never waits for the network.
func New(config Config) (*Groups, error) {
	if config.Cloud == "" {
		config.Cloud = "public"
	}
	at, known := clouds()[config.Cloud]
	switch {
	case !known:
		return nil, fmt.Errorf("cloud %s is not one of %v", identity.Quote(config.Cloud), Clouds())
	case !IsID(config.Tenant):
		return nil, fmt.Errorf("tenant %s is not an ID of 36 characters in lower case", identity.Quote(config.Tenant))
	case config.Auth.Method == codeflow.AuthNone:
		return nil, errors.New("a client without a proof gets no access token")
	}
	if err := codeflow.CheckClientID(config.ClientID); err != nil {
		return nil, err
	}
	if err := config.Auth.Check(); err != nil {
		return nil, err
	}
	return &Groups{
		config: config,
		cloud:  at,
		cache:  tokencache.New(tokencache.Config{Size: maxUsers, TTL: keptFor, Timeout: maxTime, MaxUnknown: maxWaiting}),
		limit:  tokencache.NewLimit(qps, maxInFlight),
	}, nil
}

// Close ends the questions under way.
func (g *Groups) Close() { g.cache.Close() }

// Flush forgets all answers.
func (g *Groups) Flush() { g.cache.Flush(func(*tokencache.Verdict) bool { return true }) }

// Of returns the IDs of the groups of a user, by the claims tid and oid of a verified token: other
// claims, such as sub or email, do not name the user for Graph, or can be another's later. The
// caller does not change the list.
//
// The error wraps [identity.ErrUnavailable] unless Graph has answered about the user:
// [identity.ErrForbidden] for too many groups, [identity.ErrRejected] for a user that is not
// there.
func (g *Groups) Of(ctx context.Context, tenant, user string) ([]string, error) {
	switch {
	case tenant != g.config.Tenant:
		return nil, fmt.Errorf("%w: asking for groups: the token's tenant (tid) %s is not the configured one",
			identity.ErrForbidden, identity.Quote(tenant))
	case !IsID(user):
		return nil, fmt.Errorf("%w: asking for groups: the token's user (oid) %s is not an ID", identity.ErrForbidden, identity.Quote(user))
	}
	key := g.cache.Key(tenant, user)
	verdict, found, err := g.cache.Get(key, time.Now())
	if !found {
		verdict, err = g.cache.Judge(ctx, key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
			return g.ask(ctx, user, known)
		})
	}
	return verdict.User.Groups, err
}

func (g *Groups) ask(ctx context.Context, user string, known bool) (verdict tokencache.Verdict, err error) {
	waited := g.limit.Review(ctx, known, nil, func() {
		var ids []string
		ids, err = g.memberGroups(ctx, user)
		verdict.User.Groups = ids
	})
	if waited != nil {
		return tokencache.Verdict{}, waited
	}
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return verdict, nil
}

// isThrottled says how long nothing is asked.
func (g *Groups) isThrottled(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.throttled.Sub(now); left > 0 {
		return fmt.Errorf("%w: asking for groups: it was asked to wait for %s", identity.ErrUnavailable, left.Round(time.Second))
	}
	return nil
}

// throttle honours Retry-After.
func (g *Groups) throttle(after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(after); until.After(g.throttled) {
		g.throttled = until
	}
}
