// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// Client asks the API server. Its error wraps exactly [identity.ErrUnavailable].
type Client interface {
	ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error)
}

// Reviewer finds out who tokens are.
type Reviewer struct {
	Client Client

	// Audiences are what a token may be for: at least one of them must be in the answer.
	// Default: what the API server itself is (its --api-audiences).
	Audiences []string

	// Limit is how often the API server is asked; nil: as often as there is a token.
	Limit *Limit

	// Observe is told how long each call took, in seconds; nil: nobody.
	Observe func(seconds float64)
}

// Review asks who a token is. That it is known, which is to say that it was good a short
// while ago, lets it pass before those that are not. The error wraps [identity.ErrRejected]
// when the API server does not know the token, and [identity.ErrUnavailable] when nobody
// could say.
//
// Groups and extra attributes are handed on as they are, but for system:authenticated, which
// the API server adds by itself wherever the user goes. Of the reserved names, a review may
// yield a service account and the groups of its namespace.
func (r *Reviewer) Review(ctx context.Context, token string, known bool) (tokencache.Verdict, error) {
	if token == "" {
		// it would be nobody's request, which another proxy took for somebody's
		// (CVE-2023-48312)
		return tokencache.Verdict{}, fmt.Errorf("%w: the token is empty", identity.ErrRejected)
	}
	status, err := r.ask(ctx, token, known)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return r.judge(token, status, time.Now())
}

// ask waits for its turn, and asks.
func (r *Reviewer) ask(ctx context.Context, token string, known bool) (*authenticationv1.TokenReviewStatus, error) {
	if r.Limit != nil {
		if err := r.Limit.wait(ctx, known); err != nil {
			return nil, fmt.Errorf("%w: waiting for the limit of reviews: %w", identity.ErrUnavailable, err)
		}
		defer r.Limit.done(known)
	}
	start := time.Now()
	status, err := r.Client.ReviewToken(ctx, token, r.Audiences)
	if r.Observe != nil {
		r.Observe(time.Since(start).Seconds())
	}
	if err == nil && status == nil {
		return nil, fmt.Errorf("%w: reviewing a token: there is no answer", identity.ErrUnavailable)
	}
	return status, err
}

// judge says yes only where the API server does.
func (r *Reviewer) judge(token string, status *authenticationv1.TokenReviewStatus, now time.Time) (tokencache.Verdict, error) {
	expires := expiry(token)
	if err := r.check(token, status); err != nil {
		return tokencache.Verdict{}, fmt.Errorf("%w: reviewing a token: %w", identity.ErrRejected, err)
	}
	if !expires.IsZero() && !now.Before(expires) {
		return tokencache.Verdict{}, fmt.Errorf("%w: reviewing a token: it has expired at %s",
			identity.ErrRejected, expires.UTC().Format(time.RFC3339))
	}
	return tokencache.Verdict{User: userOf(&status.User), Expires: expires, Reserved: reserved(status.User.Username)}, nil
}

// check returns why an answer is not a yes. A field that is missing makes a no
// (CVE-2023-48312, CVE-2026-11717).
func (r *Reviewer) check(token string, status *authenticationv1.TokenReviewStatus) error {
	meant := func(audience string) bool { return slices.Contains(r.Audiences, audience) }
	switch user := &status.User; {
	case status.Error != "" && !identity.LeaksToken(status.Error, token):
		return fmt.Errorf("the API server says %s", identity.Quote(status.Error))
	case status.Error != "" || !status.Authenticated:
		return errors.New("the API server does not know it")
	case user.Username == "":
		return errors.New("the answer names no user")
	case user.Username == "system:anonymous" || slices.Contains(user.Groups, "system:unauthenticated"):
		return errors.New("the answer is about anybody")
	case len(r.Audiences) > 0 && len(status.Audiences) == 0:
		// so says an authenticator that ignores what it was asked, and has not looked
		return errors.New("the answer names no audience, so whether it is for one of ours is not known")
	case len(r.Audiences) > 0 && !slices.ContainsFunc(status.Audiences, meant):
		return errors.New("it is for another audience")
	}
	return nil
}
