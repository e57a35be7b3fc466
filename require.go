// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// newPolicy is what the options say about an identity, whichever source it comes from.
func (h *Handler) newPolicy() identity.Policy {
	return identity.Policy{
		RequireUsers:  h.RequireUsers,
		RequireGroups: h.RequireGroups,
		DenyUsers:     h.DenyUsers,
		DenyGroups:    h.DenyGroups,
		AllowGroups:   h.AllowGroups,
		AllowReserved: h.AllowReserved,
		MaxGroups:     h.MaxGroups,
	}
}

// validateRequired refuses a pattern of require_users or require_groups that no identity can
// match, and warns of one that mostly cannot: the operator believes that those users may come in.
func (h *Handler) validateRequired() error {
	var errs []error
	for _, list := range []struct {
		option, deny     string
		patterns, denied identity.Patterns
	}{
		{"require_users", "deny_users", h.RequireUsers, h.DenyUsers},
		{"require_groups", "deny_groups", h.RequireGroups, h.DenyGroups},
	} {
		for _, pattern := range list.patterns {
			if err := identity.CheckPattern(pattern); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list.option, err))
			} else if list.denied.Covers(pattern) {
				errs = append(errs, fmt.Errorf("%s: pattern %s matches nothing that %s does not refuse", list.option, identity.Quote(pattern), list.deny))
			} else if h.policy.OnlyReserved(pattern) && !sourcesAllow(pattern) {
				h.logger.Warn(list.option+": identities with such a name are refused, since it is reserved: list the exact name in allow_reserved, if you mean to let it pass",
					zap.String("pattern", pattern))
			}
		}
	}
	h.warnOfRefusedFallback()
	return errors.Join(errs...)
}

// warnOfRefusedFallback warns of anonymous clients that are always refused: with 403, so that a
// browser is not sent to log in, which it would be without the source.
func (h *Handler) warnOfRefusedFallback() {
	if h.fallback == nil {
		return
	}
	constant, ok := h.fallback.Source.(identity.Constant)
	if !ok {
		return
	}
	if err := h.policy.CheckRequired(constant.Always()); err != nil {
		h.logger.Warn("the source "+h.fallback.name+" is for clients that are always refused with 403: leave it out, and they get 401 or are sent to log in",
			zap.String("reason", err.Error()))
	}
}

// sourcesAllow says whether a reserved name is one that a source may allow by itself: those of
// service accounts, which an API server has proven, and of anonymous clients.
func sourcesAllow(pattern string) bool {
	name := strings.TrimSuffix(pattern, "*")
	for _, prefix := range []string{"system:serviceaccount:", "system:serviceaccounts", "system:anonymous", "system:unauthenticated"} {
		if strings.HasPrefix(name, prefix) || name != pattern && strings.HasPrefix(prefix, name) {
			return true
		}
	}
	return false
}
