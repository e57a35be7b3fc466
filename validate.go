// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Validate checks the whole configuration. It repeats the parser's checks, so that JSON
// meets the same conditions.
func (h *Handler) Validate() error {
	return h.located(errors.Join(
		h.validateTrust(),
		h.validateOptions(),
		h.validateRequired(),
		h.validateKubernetes(),
		h.validateSources(),
		h.validateIssuers(),
		h.validateBound(),
		h.validateInjectors(),
		h.validatePassAuthorization(),
		h.validateReviews(),
		h.validateRespond(),
	))
}

func (h *Handler) validateTrust() error {
	for n, src := range h.sources {
		if err := h.checkBelieved(src, h.trust.configured()); err != nil {
			return fmt.Errorf("%s: %w", guestPlace("sources", n, src.name), err)
		}
	}
	if static, ok := h.trust.ranges.(*caddyhttp.StaticIPRange); ok && len(static.Ranges) == 0 {
		return errors.New("trusted_proxies: there is no range")
	}
	if err := identity.CheckRanges(h.trust.currentRanges(), h.InsecureTrustAllPeers); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	if err := identity.CheckRanges(h.trust.currentRanges(), false); err != nil { // only insecure_trust_all_peers allows it
		h.logger.Warn("insecure_trust_all_peers: every client that reaches this server can claim to be any user: "+
			"list the addresses of your proxies in trusted_proxies instead", zap.Strings("trusted_proxies", words(h.trust.currentRanges())))
	}
	return nil
}

func words(ranges []netip.Prefix) []string {
	texts := make([]string, 0, len(ranges))
	for _, r := range ranges {
		texts = append(texts, r.String())
	}
	return texts
}

func (h *Handler) validateOptions() error {
	var errs []error
	for _, list := range []struct {
		option   string
		patterns []string
	}{
		{"strip_cookies", h.StripCookies},
		{"deny_users", h.DenyUsers},
		{"deny_groups", h.DenyGroups},
		{"allow_groups", h.AllowGroups},
	} {
		for _, pattern := range list.patterns {
			if err := identity.CheckPattern(pattern); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list.option, err))
			}
		}
	}
	for _, name := range h.AllowReserved {
		if err := checkReserved(name); err != nil {
			errs = append(errs, fmt.Errorf("allow_reserved: %w", err))
		}
	}
	if err := option.Each(option.CheckTrustedPlaceholder)(h.TrustedPlaceholder); err != nil {
		errs = append(errs, fmt.Errorf("trusted_placeholder: %w", err))
	}
	if h.ClientImpersonation != "" {
		if err := checkClientImpersonation(h.ClientImpersonation); err != nil {
			errs = append(errs, fmt.Errorf("client_impersonation: %w", err))
		}
	}
	if h.MaxGroups < 0 {
		errs = append(errs, fmt.Errorf("max_groups: %d is less than 1", h.MaxGroups))
	}
	if h.Audit != "" {
		if err := checkAudit(h.Audit); err != nil {
			errs = append(errs, fmt.Errorf("audit: %w", err))
		}
	}
	return errors.Join(errs...)
}

// checkReserved refuses names that allow_reserved cannot allow: it takes exact names, and
// keys of extra attributes, that are reserved.
func checkReserved(name string) error {
	if strings.HasSuffix(name, "*") {
		return fmt.Errorf("%q: only exact names can be allowed", name)
	}
	if !identity.IsReserved(name) && !identity.IsReservedKey(name) {
		return fmt.Errorf("%q is not reserved, so it need not be allowed", name)
	}
	return nil
}

func (h *Handler) validatePassAuthorization() error {
	if !h.PassAuthorization {
		return nil
	}
	if slices.Contains(h.credentials, "Authorization") {
		return errors.New("pass_authorization: a source reads Authorization, so it cannot be forwarded as it came")
	}
	for _, injector := range h.injectors {
		if _, found := identity.Overlap(injector.Writes(), []string{"Authorization"}); found {
			return errors.New("pass_authorization: an injector writes Authorization")
		}
	}
	return nil
}

// tokenSent asks an injector whether it sends the user's own token, and nothing else.
func tokenSent(injector Injector) (sends, alone bool) {
	if sender, ok := injector.(TokenSender); ok {
		return sender.SendsToken()
	}
	return false, false
}

func writesImpersonation(injector configuredInjector) bool {
	_, found := identity.Overlap(injector.Writes(), []string{"Impersonate-*"})
	return found
}
