// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// announce tells the rest of Caddy who the client is. It runs only when nothing can refuse
// the request any more: a placeholder that is set for a request which is then refused would
// make an error route believe the identity (caddyserver/caddy#7688). Every placeholder is
// set, so that none keeps a value about another handler's user.
func (h *Handler) announce(r *http.Request, ex *exchange, src *configuredSource, id *identity.Identity) {
	src.metrics.OK.Inc()
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.auth.user.id", id.Username)
		repl.Set("http.auth.user.groups", identity.Groups(id.Groups))
		repl.Set("http.auth.user.email", id.Email)
		repl.Set("http.kube_identity.source", src.nameValue)
	}
	if extra := extraFields(r); extra != nil {
		extra.Set(zap.String("source", src.name))
		extra.Set(zap.String("peer", ex.Peer.String()))
		extra.Set(zap.String("user", id.Username))
		extra.Set(zap.Strings("groups", id.Groups))
	}
}

// extraFields are the fields that Caddy's access log adds to a request; nil without one.
func extraFields(r *http.Request) *caddyhttp.ExtraLogFields {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Logs == nil {
		return nil
	}
	extra, _ := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	return extra
}
