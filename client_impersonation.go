// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/accessreview"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// The values of the option client_impersonation.
const (
	impersonationDrop   = "drop"
	impersonationReject = "reject"
	impersonationReview = "review"
)

func checkClientImpersonation(word string) error {
	return option.OneOf([]string{impersonationDrop, impersonationReject, impersonationReview})(word)
}

// errImpersonates refuses a client's own Impersonate-*.
var errImpersonates = fmt.Errorf("%w: the client asks to impersonate another user", identity.ErrForbidden)

// wishError is why a client's wish to be another user cannot be read, or is one that no right
// allows. The client may know it: it has made the wish on purpose.
type wishError struct{ error }

// Unwrap returns the cause.
func (e wishError) Unwrap() error { return e.error }

// actAs returns whom the request goes on as: the client itself, or the user whom it asks for by
// Impersonate-*, if the policy passes that user and the API server lets the client act so.
func (h *Handler) actAs(ctx context.Context, ex *exchange, src *configuredSource, who *settled) (*settled, error) {
	if h.reviews == nil || !ex.Stripped.HasImpersonation() {
		return who, nil
	}
	if src == h.fallback {
		return nil, wishError{fmt.Errorf("%w: a client without a credential asks to impersonate another user", identity.ErrForbidden)}
	}
	wanted, err := accessreview.Wanted(ex.Stripped)
	if err != nil {
		return nil, wishError{err}
	}
	ex.impersonated = wanted
	target, err := h.settleTarget(src, who, wanted)
	if err != nil {
		return nil, err
	}
	by := accessreview.Requester{Username: who.Username, Header: make(http.Header)}
	id := who.Clone()
	if err := write(ctx, h.reviews.injectors[src], &id, by.Header); err != nil {
		return nil, err
	}
	if err := classified(h.reviews.reviewer.Review(ctx, by, &target.User)); err != nil {
		return nil, err
	}
	if err := target.ready(ctx, src, nil); err != nil { // not kept: the verdict of the source is about another user
		return nil, err
	}
	return target, nil
}

// settleTarget applies the policy to the user whom the client asks for, whatever RBAC says. For a
// source's own identity allow_groups leaves groups out; a wish is not granted in part.
func (h *Handler) settleTarget(src *configuredSource, who *settled, wanted *identity.User) (*settled, error) {
	s := &settled{said: *wanted, Identity: identity.Identity{
		User: *wanted, Original: &who.User, AllowReserved: accessreview.Reserved(wanted.Username),
		Source: src.name, Expires: who.Expires, Skew: who.Skew,
	}}
	if err := h.policy.Check(&s.Identity); err != nil {
		return nil, err
	}
	for n, group := range wanted.Groups {
		if n >= len(s.Groups) || s.Groups[n] != group {
			return nil, fmt.Errorf("%w: the client asks to impersonate the group %s, which allow_groups does not have",
				identity.ErrForbidden, identity.Quote(group))
		}
	}
	return s, nil
}

// sender is the user who was proven.
func (s *settled) sender() *identity.User {
	if s.Original != nil {
		return s.Original
	}
	return &s.User
}

// token is the client's own, which is not that of another user.
func (s *settled) token(id *identity.Identity) identity.Token {
	if s.Original != nil {
		return identity.Token{}
	}
	return id.Token
}

// wishFields say for a log whom the client asked to be.
func (ex *exchange) wishFields() []zap.Field {
	if ex.impersonated == nil {
		return nil
	}
	wanted := shownUser(ex.impersonated)
	return []zap.Field{
		zap.String("impersonated", wanted.Username),
		zap.Array("impersonated_groups", caddyhttp.LoggableStringArray(wanted.Groups)),
	}
}

// traceWish says the same in a trace.
func (ex *exchange) traceWish(r *http.Request) {
	if s := span(r); s != nil && ex.impersonated != nil {
		s.SetAttributes(attribute.String("kube_identity.impersonated", shown(ex.impersonated.Username)))
	}
}

// statusDetails is what a Status is about (apimachinery, pkg/apis/meta/v1: StatusDetails).
type statusDetails struct {
	Name  string `json:"name,omitempty"`
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind,omitempty"`
}

// isReviewed says whether an error refuses a wish that was reviewed, or could not be read. Such a
// client reads a Status, also if it does not say so: kubectl exec accepts nothing by name.
func isReviewed(err error) bool {
	_, denied := errors.AsType[*accessreview.DeniedError](err)
	_, unread := errors.AsType[wishError](err)
	return denied || unread
}

// explainImpersonation names an attempt to impersonate, since the client itself has made it on
// purpose, and what exactly it may not: kubectl shows the words of the API server.
func (o *statusObject) explainImpersonation(err error) {
	if errors.Is(err, errImpersonates) {
		o.Message = "impersonation (Impersonate-*, kubectl --as) is not allowed here"
	}
	if denial, ok := errors.AsType[*accessreview.DeniedError](err); ok {
		o.Message, o.Details = denial.Message(), &statusDetails{Name: denial.Name, Group: denial.Group, Kind: denial.Resource}
	}
	if wish, ok := errors.AsType[wishError](err); ok {
		_, o.Message, _ = strings.Cut(wish.Error(), ": ")
	}
}
