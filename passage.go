// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// passage is what goes on with a request that is forwarded, in one piece of memory that no
// other request ever gets: goroutines of handlers behind this one may outlive the request. It
// is the request's context too.
type passage struct {
	context.Context //nolint:containedctx // it is one

	by       *Handler
	use      *sessionUse // nil without a session
	stream   stream
	response response
	told     *told // nil if no handler asks for it
}

// passedKey is the key of the handler that has passed a request, in the context of the
// request that it forwards. A client cannot write there, and error routes do not see it,
// because they run on the request as it came.
type passedKey struct{}

// Value implements context.Context.
func (p *passage) Value(key any) any {
	switch key.(type) {
	case passedKey:
		return p.by
	case guest.PassedKey:
		if p.told == nil {
			return nil
		}
		return p.told.passed()
	}
	return p.Context.Value(key)
}

// watch puts a response between the upstream and w.
func (p *passage) watch(w http.ResponseWriter, r *http.Request, cookies identity.Patterns, page bool) *response {
	p.response = response{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		cookies:               cookies,
		page:                  page,
		sessions:              p.by.sessions,
		use:                   p.use,
		stream:                &p.stream,
		tunnel:                r.Method == http.MethodConnect,
		before:                slices.Clone(w.Header()[setCookie]),
	}
	return &p.response
}
