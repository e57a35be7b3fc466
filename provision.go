// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Provision loads the guests and compiles what they and the options say.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := checkRoutes(ctx); err != nil {
		return err
	}
	h.at = h.placeOf(ctx)
	return h.located(h.provision(ctx))
}

func (h *Handler) provision(ctx caddy.Context) error {
	if err := h.checkPresent(); err != nil {
		return err
	}
	h.errorRoutes = inErrorRoutes(ctx)
	h.title = describe(h.SourcesRaw, h.InjectorsRaw)
	h.logger = ctx.Logger()
	h.audit = h.logger.Named("audit")
	err := guest.Expand(h)
	if err != nil {
		return err
	}
	h.metrics = guest.MetricsOf(ctx)
	if err := h.metrics.ForHandler(refusalLabels()); err != nil {
		return err
	}
	ctx = guest.WithKubernetes(ctx, h.Kubernetes.config())
	ctx = guest.WithTrustedPlaceholders(ctx, h.TrustedPlaceholder)
	ctx = guest.WithMetrics(ctx, h.metrics)
	if err := h.provisionTrust(ctx); err != nil {
		return err
	}
	if err := h.loadSources(ctx); err != nil {
		return err
	}
	h.provisionBound(ctx)
	if err := h.loadInjectors(ctx); err != nil {
		return err
	}
	if err := h.provisionSession(ctx); err != nil {
		return err
	}
	if h.login, err = browser.NewLogin(h.Login, h.Challenge); err != nil {
		return err
	}
	if h.crossOrigin, err = browser.NewCrossOrigin(h.CrossOrigin); err != nil {
		return err
	}
	if len(h.CrossOrigin) > 0 {
		h.metrics.ForPreflights(preflightSource)
	}
	h.policy = h.newPolicy()
	h.warnOfLoggedTokens()
	h.warnOfMistakes(ctx)
	h.member = guest.Join(ctx, h)
	return h.compileFields()
}

func (h *Handler) loadSources(ctx caddy.Context) error {
	guests, err := loadGuests(ctx, h.SourcesRaw, guest.Sources)
	if err != nil {
		return err
	}
	h.SourcesRaw = nil // as Caddy does
	for n, module := range guests {
		name := moduleName(module)
		src, ok := module.(identity.Source)
		if !ok {
			return fmt.Errorf("%s: %T is not a source", guestPlace("sources", n, name), module)
		}
		h.sources = append(h.sources, &configuredSource{Source: src, name: name, owner: new(identity.Owner), metrics: h.metrics.ForSource(name, refusalLabels())})
	}
	last := h.sources[len(h.sources)-1]
	if fallback, ok := last.Source.(identity.Fallback); ok {
		last.onFailure = fallback.AfterFailure()
		h.fallback = last
	}
	return nil
}

func (h *Handler) loadInjectors(ctx caddy.Context) error {
	guests, err := loadGuests(ctx, h.InjectorsRaw, guest.Injectors)
	if err != nil {
		return err
	}
	h.InjectorsRaw = nil
	for n, module := range guests {
		injector, ok := module.(Injector)
		if !ok {
			return fmt.Errorf("%s: %T is not an injector", guestPlace("injectors", n, moduleName(module)), module)
		}
		h.injectors = append(h.injectors, injector)
		if user, ok := injector.(TransportUser); ok {
			h.usesTransport = h.usesTransport || user.UsesTransport()
		}
		h.assign(injector)
	}
	if err := h.provisionReviews(ctx); err != nil {
		return err
	}
	return h.provisionAnswer(ctx)
}

// assign gives an injector to the sources that it is for.
func (h *Handler) assign(injector Injector) {
	for _, src := range h.sources {
		if names := injector.ForSources(); len(names) == 0 || slices.Contains(names, src.name) {
			src.injectors = append(src.injectors, newConfiguredInjector(injector))
			sends, _ := tokenSent(injector)
			src.sends = src.sends || sends
		}
	}
}

// compileFields collects every name that is stripped: all that any source may read and any
// injector may write, whether a request needs it or not. So an identity without groups does
// not leave the client's own groups in place.
func (h *Handler) compileFields() error {
	if err := option.Each(identity.CheckFieldPattern)(h.StripHeaders); err != nil {
		return fmt.Errorf("strip_headers: %w", err)
	}
	names := slices.Clone(h.StripHeaders)
	cookies := slices.Clone(h.StripCookies)
	var proxyOnly []string
	for _, src := range h.sources {
		reads := src.Reads()
		names = append(names, reads.Names...)
		if reads.Proxy {
			proxyOnly = append(proxyOnly, reads.Names...)
		}
		if _, found := identity.Overlap([]string{"Authorization"}, reads.Names); found {
			h.addCredentials([]string{"Authorization"}) // even if the guest does not call it a credential
		}
		if reads.Credential {
			h.addCredentials(reads.Names)
		}
	}
	for _, injector := range h.injectors {
		names = append(names, injector.Writes()...)
		if writer, ok := injector.(CookieWriter); ok {
			cookies = option.Union(cookies, writer.Cookies())
		}
	}
	if h.sessions != nil {
		cookies = option.Union(cookies, h.sessions.jar.Patterns())
	}
	stripped, err := identity.NewNames(names...)
	if err != nil {
		return fmt.Errorf("collecting header fields: %w", err)
	}
	h.stripRules = identity.StripRules{
		Fields:            stripped.And(identity.BuiltinNames()),
		Cookies:           cookies,
		PassAuthorization: h.PassAuthorization,
	}
	if len(proxyOnly) > 0 {
		if h.proxyOnly, err = identity.NewNames(proxyOnly...); err != nil {
			return fmt.Errorf("collecting header fields: %w", err)
		}
		return h.metrics.ForProxies()
	}
	return nil
}

// addCredentials remembers the fields in which a credential must not be passed over.
func (h *Handler) addCredentials(names []string) {
	for _, name := range names {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(h.credentials, name) {
			h.credentials = append(h.credentials, name)
		}
	}
}
