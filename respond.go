// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// removeField names, in the answer to Envoy, the fields that it removes from the client's
// request (ext_authz, HTTP service). It removes them after it has set fields, so a field that is
// set must not be named.
const removeField = "X-Envoy-Auth-Headers-To-Remove"

// provisionAnswer has the handler answer the request itself, where the option respond says so.
// The injectors write into an empty header, and what they write becomes the response.
func (h *Handler) provisionAnswer(ctx caddy.Context) error {
	h.target = cloneHeader
	if !h.Respond {
		return nil
	}
	var writes []string
	for _, injector := range h.injectors {
		writes = append(writes, injector.Writes()...)
	}
	names, err := identity.NewNames(append(writes, removeField)...)
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	forbidden, err := identity.NewNames(notForAnswers()...)
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	last := newConfiguredInjector(&answerer{forbidden, h.removable(writes)})
	for _, src := range h.sources {
		if len(src.injectors) > 0 { // else it is refused, since its users would not be written
			src.injectors = append(src.injectors, last)
		}
	}
	h.target = func(http.Header, int) http.Header { return make(http.Header) }
	h.answer = answer{names}
	if h.ClientImpersonation == "" {
		h.ClientImpersonation = "reject" // an answer cannot remove Impersonate-Extra-* from the client's request
	}
	h.warnOfOtherRoutes(ctx)
	if !h.trust.configured() {
		h.logger.Warn("respond without trusted_proxies judges each request as it comes: only Envoy's ext_authz and its children " +
			"send the method and the path of the client's request; for nginx, Traefik and Caddy name the proxy's address")
	}
	return nil
}

// removable are the names of all fields that the handler strips: of those that are not forwarded
// by it, a front proxy can only be told. Prefixes cannot be told, so that the fields which
// Kubernetes reads are there by their names.
func (h *Handler) removable(writes []string) []string {
	all := slices.Concat(identity.BuiltinFields(), []string{
		"Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "X-Remote-User", "X-Remote-Group", "X-Remote-Uid",
	}, h.StripHeaders, writes)
	for _, src := range h.sources {
		all = append(all, src.Reads().Names...)
	}
	var names []string
	for _, name := range all {
		if name = http.CanonicalHeaderKey(name); !strings.HasSuffix(name, "*") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// answerer is asked after all injectors, about what they wrote. It holds them to what they said
// of themselves, and adds the field that Envoy reads.
type answerer struct {
	forbidden *identity.Names
	removable []string
}

// Writes implements [identity.Injector].
func (*answerer) Writes() []string { return []string{removeField} }

// ForSources implements [Injector].
func (*answerer) ForSources() []string { return nil }

// Inject implements [identity.Injector]. Of a field with two lines front proxies keep the first,
// the last, or both in one (nginx, Envoy, Caddy): two groups, or one that does not exist.
func (a *answerer) Inject(_ context.Context, _ *identity.Identity, header http.Header) error {
	for name, lines := range header {
		if len(lines) != 1 {
			return fmt.Errorf("%w: an answer has %d lines of %s", identity.ErrInternal, len(lines), name)
		}
		if a.forbidden.Match(name) {
			return fmt.Errorf("%w: an answer has %s", identity.ErrInternal, name)
		}
	}
	missing := make([]string, 0, len(a.removable))
	for _, name := range a.removable {
		if len(header[name]) == 0 {
			missing = append(missing, name)
		}
	}
	header[removeField] = []string{strings.Join(missing, ", ")}
	return nil
}

// KeepLines implements [LinesKeeper]: nothing is kept, and no copy of the identity is needed.
func (a *answerer) KeepLines() (ofIdentity, ofRequest identity.Injector) { return nil, a }

// answer is the handler behind this one where the option respond is set. It says yes, in the
// status that all front proxies take for it, with the fields that were injected.
type answer struct{ writes *identity.Names }

// ServeHTTP implements [caddyhttp.Handler]. What handlers before this one have written in fields
// of the identity is not about this client.
func (a answer) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	header := w.Header()
	maps.DeleteFunc(header, func(name string, _ []string) bool { return a.writes.Match(name) })
	maps.Copy(header, r.Header)
	header.Set("Cache-Control", "no-store") // it is about one client, under a URL that all have
	header.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// Interface guards
var (
	_ Injector          = (*answerer)(nil)
	_ LinesKeeper       = (*answerer)(nil)
	_ caddyhttp.Handler = answer{}
)
