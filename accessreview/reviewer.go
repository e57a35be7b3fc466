// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

const (
	// Budget is how long all questions about one request may take together.
	Budget = 5 * time.Second

	// TTL is how long a verdict is kept, good or bad, as the API server keeps those of
	// constrained impersonation.
	TTL = 10 * time.Second

	// maxUnknown is how many questions that had no good answer lately may be open at once.
	maxUnknown = 256

	// together is how many questions about one request are open at once.
	together = 8
)

// NewCache makes a cache for verdicts of impersonation.
func NewCache() *tokencache.Cache {
	return tokencache.New(tokencache.Config{TTL: TTL, NegativeTTL: TTL, Timeout: Budget, MaxUnknown: maxUnknown})
}

// Client asks the API server as the user whom the fields say. Its error wraps exactly
// [identity.ErrUnavailable].
type Client interface {
	ReviewAccess(ctx context.Context, as http.Header, what kubernetes.ResourceAttributes) (allowed bool, err error)
}

// Reviewer asks whether one user may act as another.
type Reviewer struct {
	Client Client
	Cache  *tokencache.Cache // of [NewCache]
	Limit  *tokencache.Limit // how often the API server is asked

	// OnReview is called with how long each call took, in seconds; OnLookup with whether the
	// cache had a verdict; OnVerdict with each verdict about a request. They may be nil, and are
	// called by several goroutines.
	OnReview  func(seconds float64)
	OnLookup  func(hit bool)
	OnVerdict func(what kubernetes.ResourceAttributes, err error)
}

// Requester is the user who asks, as the API server sees that user.
type Requester struct {
	Username string

	// Header are the fields with which the user's own requests are sent: the proxy's credential
	// and Impersonate-*.
	Header http.Header
}

// check refuses fields by which the API server would answer about another user: without
// Impersonate-User it would be the proxy, which may impersonate everything.
func (r Requester) check() error {
	user := r.Header[userField]
	if r.Username == "" || len(user) != 1 || user[0] != r.Username || len(r.Header["Authorization"]) != 1 {
		return fmt.Errorf("%w: the injector does not write the user and the proxy's credential", identity.ErrInternal)
	}
	return nil
}

// identity is all that the API server knows of the user.
func (r Requester) identity() []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.HasPrefix(name, "Impersonate-") {
			parts = append(parts, name, strconv.Itoa(len(r.Header[name])))
			parts = append(parts, r.Header[name]...)
		}
	}
	return parts
}

// Review returns nil if the requester may act as the target in every respect, a [DeniedError] if not,
// and an error that wraps [identity.ErrUnavailable] if that could not be decided. The user is
// asked about first: who may not act as that user causes no other question.
func (r *Reviewer) Review(ctx context.Context, by Requester, target *identity.User) error {
	if err := by.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Budget)
	defer cancel()
	all := AttributesOf(target)
	if err := r.verdict(ctx, by, all[0]); err != nil {
		return err
	}
	rest := all[1:]
	verdicts := make([]error, len(rest))
	open := make(chan struct{}, together)
	var wait sync.WaitGroup
	for n, what := range rest {
		open <- struct{}{}
		wait.Go(func() {
			defer func() { <-open }()
			verdicts[n] = r.verdict(ctx, by, what)
		})
	}
	wait.Wait()
	return worst(verdicts)
}

// worst prefers a definite no: asking again would not help.
func worst(verdicts []error) error {
	var first error
	for _, err := range verdicts {
		if errors.Is(err, identity.ErrForbidden) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// verdict is the answer to one question, kept or new.
func (r *Reviewer) verdict(ctx context.Context, by Requester, what kubernetes.ResourceAttributes) (err error) {
	defer identity.Recovered(&err, identity.ErrInternal, "")
	key := r.Cache.Key(append(by.identity(), what.Namespace, what.Verb, what.Group, what.Resource, what.Subresource, what.Name)...)
	_, found, err := r.Cache.Get(key, time.Now())
	if r.OnLookup != nil {
		r.OnLookup(found)
	}
	if !found {
		_, err = r.Cache.Judge(ctx, key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
			return r.judge(ctx, by, what, known)
		})
	}
	switch {
	case errors.Is(err, identity.ErrForbidden): // a kept one is a text
		err = &DeniedError{User: by.Username, ResourceAttributes: what}
	case errors.Is(err, identity.ErrUnavailable):
		err = fmt.Errorf("%w: reviewing an impersonation: %w", identity.ErrUnavailable, err)
	}
	if r.OnVerdict != nil {
		r.OnVerdict(what, err)
	}
	return err
}

// judge asks the API server. The verdict has the names by which it can be flushed.
func (r *Reviewer) judge(ctx context.Context, by Requester, what kubernetes.ResourceAttributes, known bool) (tokencache.Verdict, error) {
	var allowed bool
	var err error
	unasked := r.Limit.Review(ctx, known, r.OnReview, func() { allowed, err = r.Client.ReviewAccess(ctx, by.Header, what) })
	switch {
	case unasked != nil:
		return tokencache.Verdict{}, unasked
	case err != nil:
		return tokencache.Verdict{}, err
	case !allowed:
		return tokencache.Verdict{}, &DeniedError{User: by.Username, ResourceAttributes: what}
	}
	return tokencache.Verdict{User: identity.User{Username: by.Username, Name: what.Name}}, nil
}

// Flush forgets the verdicts about what a user may impersonate and who may impersonate that
// user; of all users if it is empty.
func Flush(cache *tokencache.Cache, user string) (good, bad int) {
	return cache.Flush(func(v *tokencache.Verdict) bool {
		return user == "" || v.User.Username == user || v.User.Name == user
	})
}
