// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// checkPresent refuses a handler without a source or without an injector.
func (h *Handler) checkPresent() error {
	switch {
	case len(h.SourcesRaw) == 0:
		return errors.New("kube_identity has no source, so it could not find out who a client is: write one, such as 'oidc <issuer> { ... }' or 'forwarded <preset>'")
	case len(h.InjectorsRaw) == 0:
		return errors.New("kube_identity has no inject, so the upstream would not learn who the client is: write one, such as 'inject <preset>' or 'inject headers { ... }'")
	}
	return nil
}

// checkBelieved refuses a source that believes header fields which no peer may set.
func (*Handler) checkBelieved(src *configuredSource, trusted bool) error {
	if trusted || !src.Reads().Proxy {
		return nil
	}
	return fmt.Errorf("the source %s believes header fields, but no peer is trusted to set them: write 'trusted_proxies static <range>' "+
		"with the proxies' addresses, or trusted_proxies_unix or trusted_proxy_cert, in kube_identity; the global option of that name does not count", src.name)
}

// validateSources names each source that checkSource refuses.
func (h *Handler) validateSources() error {
	var errs []error
	for n, src := range h.sources {
		if err := h.checkSource(n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", guestPlace("sources", n, src.name), err))
		}
	}
	return errors.Join(errs...)
}

// reservedChecker is implemented by a source whose names are in the configuration.
type reservedChecker interface{ CheckReserved(allowed []string) error }

// checkSource refuses a source that is never asked, one whose identities no injector writes, and
// one for which two injectors write the same field: which of the two the upstream sees would be
// undefined.
func (h *Handler) checkSource(n int) error {
	src := h.sources[n]
	var errs []error
	if _, ok := src.Source.(identity.Fallback); ok && n < len(h.sources)-1 {
		errs = append(errs, fmt.Errorf("source %s answers for every client: it must be the last; write it below the others, and only once", src.name))
	}
	if len(src.injectors) == 0 {
		errs = append(errs, fmt.Errorf("no inject covers the source %s: write its name into the option sources of one, or remove that option", src.name))
	}
	if checker, ok := src.Source.(reservedChecker); ok {
		errs = append(errs, checker.CheckReserved(h.AllowReserved))
	}
	for i, one := range src.injectors {
		for _, other := range src.injectors[i+1:] {
			if field, found := identity.Overlap(one.Writes(), other.Writes()); found {
				errs = append(errs, fmt.Errorf("two injectors write %s for the source %s: keep one of the two, or write the option sources into both", field, src.name))
			}
		}
	}
	return errors.Join(append(errs, h.checkTokens(src))...)
}

// validateInjectors names each injector that checkInjector refuses.
func (h *Handler) validateInjectors() error {
	var errs []error
	for n, injector := range h.injectors {
		if err := h.checkInjector(injector); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", guestPlace("injectors", n, moduleName(injector)), err))
		}
	}
	return errors.Join(errs...)
}

// checkInjector refuses an injector for a source that is not there.
func (h *Handler) checkInjector(injector Injector) error {
	var errs []error
	for _, name := range injector.ForSources() {
		if !slices.ContainsFunc(h.sources, func(s *configuredSource) bool { return s.name == name }) {
			errs = append(errs, fmt.Errorf("inject: there is no source %q: write the name of one that kube_identity has, or remove it", name))
		}
	}
	return errors.Join(errs...)
}

// checkTokens refuses a token's injector alone for a source without tokens, and one beside an
// injector that makes the upstream act as another user.
func (*Handler) checkTokens(src *configuredSource) error {
	if _, fallback := src.Source.(identity.Fallback); fallback {
		return nil
	}
	silent := len(src.injectors) > 0 && !src.Reads().Credential // an injector that does more than send the token sets it to false
	var sendsToken bool
	for _, injector := range src.injectors {
		sends, alone := tokenSent(injector.Injector)
		sendsToken = sendsToken || sends
		silent = silent && alone
	}
	switch {
	case sendsToken && slices.ContainsFunc(src.injectors, writesImpersonation):
		return fmt.Errorf("inject token beside inject impersonation for the source %s: "+
			"the upstream would act as another user with the user's own token; remove one of the two", src.name)
	case silent:
		return fmt.Errorf("inject: the source %s proves no token, and nothing else is injected for it: write another inject, such as 'inject headers { ... }'", src.name)
	}
	return nil
}
