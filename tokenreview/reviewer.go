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

// Reviewer reviews tokens.
type Reviewer struct {
	Client Client

	// Audiences are the accepted audiences: at least one of them must be in the answer.
	// Default: those of the API server itself (its --api-audiences).
	Audiences []string

	// Limit is how often the API server is asked; nil: no limit.
	Limit *tokencache.Limit

	// OnReview is called with how long each call took, in seconds; may be nil.
	OnReview func(seconds float64)
}

// Review asks who the token's user is. known says that the token was good within the last
// hour; known tokens are reviewed before unknown ones. The error wraps
// [identity.ErrRejected] when the API server does not accept the token, and
// [identity.ErrUnavailable] when there was no usable answer.
//
// Groups and extra attributes are returned unchanged, except the groups that every
// authenticated user has ([identity.IsAuthenticatedGroup]). The user may have these reserved
// names: a service account, the groups of its namespace, and keys of extra attributes.
func (r *Reviewer) Review(ctx context.Context, token string, known bool) (tokencache.Verdict, error) {
	if token == "" {
		// an API server would treat it as an anonymous request, which another proxy took for a
		// user's (CVE-2023-48312)
		return tokencache.Verdict{}, fmt.Errorf("%w: the token is empty", identity.ErrRejected)
	}
	status, err := r.ask(ctx, token, known)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return r.decide(token, status, time.Now())
}

// ask waits for its turn, and asks.
func (r *Reviewer) ask(ctx context.Context, token string, known bool) (*authenticationv1.TokenReviewStatus, error) {
	var status *authenticationv1.TokenReviewStatus
	var err error
	if waited := r.Limit.Review(ctx, known, r.OnReview, func() {
		status, err = r.Client.ReviewToken(ctx, token, r.Audiences)
	}); waited != nil {
		return nil, waited
	}
	if err == nil && status == nil {
		return nil, fmt.Errorf("%w: reviewing a token: there is no answer", identity.ErrUnavailable)
	}
	return status, err
}

// decide returns the user only if the API server confirms the token.
func (r *Reviewer) decide(token string, status *authenticationv1.TokenReviewStatus, now time.Time) (tokencache.Verdict, error) {
	expires := expiry(token)
	if err := r.check(token, status); err != nil {
		return tokencache.Verdict{}, fmt.Errorf("%w: reviewing a token: %w", identity.ErrRejected, err)
	}
	if !expires.IsZero() && !now.Before(expires) {
		return tokencache.Verdict{}, fmt.Errorf("%w: reviewing a token: it expired at %s",
			identity.ErrRejected, expires.UTC().Format(time.RFC3339))
	}
	return tokencache.Verdict{User: userOf(&status.User), Expires: expires, AllowReserved: reserved(&status.User)}, nil
}

// check returns why an answer does not confirm the token. A missing field counts as a no
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
		return errors.New("the answer names an anonymous user")
	case len(r.Audiences) > 0 && len(status.Audiences) == 0:
		// an authenticator that ignores audiences answers so: it has not checked them
		return errors.New("the answer names no audience, so the token may be for another one")
	case len(r.Audiences) > 0 && !slices.ContainsFunc(status.Audiences, meant):
		return errors.New("it is for another audience")
	}
	return nil
}
