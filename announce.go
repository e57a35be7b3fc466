// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// announce tells the rest of Caddy who the client is. It runs only when nothing can refuse
// the request any more: a placeholder that is set for a request which is then refused would
// make an error route believe the identity (caddyserver/caddy#7688). A placeholder has its
// value looked up when it is expanded, which most are not. A name that an earlier handler gave
// a value (authentication, or map with the client's own words) would be found first, and is
// about another user: such a name is set, which comes before every look-up.
func (h *Handler) announce(r *http.Request, ex *exchange, src *configuredSource, who *settled) {
	src.metrics.OK.Inc()
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		for _, name := range [...]string{userPlaceholder, groupsPlaceholder, emailPlaceholder, sourcePlaceholder} {
			if _, known := repl.Get(name); known {
				value, _ := who.provide(name)
				repl.Set(name, value)
			}
		}
		repl.Map(who.provide)
	}
	logAccess(r, ex, src.name, "", who.sender())
	traceUser(r, src.name, who.sender())
	ex.traceWish(r)
	h.logAllowed(r, ex, src.name, who.sender())
}

// The placeholders of a request that is forwarded.
const (
	userPlaceholder   = "http.auth.user.id"
	groupsPlaceholder = "http.auth.user.groups"
	emailPlaceholder  = "http.auth.user.email"
	sourcePlaceholder = "http.kube_identity.source"
)

// placeholders returns what a replacer asks for values. Like all of settled it is made once.
func (s *settled) placeholders() caddy.ReplacerFunc {
	return func(name string) (value any, known bool) {
		switch name {
		case userPlaceholder:
			return s.Username, true
		case groupsPlaceholder:
			return identity.Groups(slices.Clone(s.Groups)), true // a handler may sort them
		case emailPlaceholder:
			return s.Email, true
		case sourcePlaceholder:
			return s.Source, true
		}
		return nil, false
	}
}
