// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// preflightSource stands for a source in logs and metrics.
const preflightSource = "preflight"

// preflight forwards the preflight of a listed origin. It has no credential (Fetch standard,
// section "CORS-preflight fetch"), so nothing is injected or announced. It has no cookies
// either: a client that sends some could use a session of the upstream's own without an
// identity here. And it has no body, since the sender is unknown. It is refused if the
// upstream would take the certificate of reverse_proxy's transport for that of a user.
func (h *Handler) preflight(w http.ResponseWriter, r *http.Request, ex *exchange, next caddyhttp.Handler) error {
	err := h.crossOrigin.CheckPreflight(ex.browser(r))
	if err == nil && h.usesTransport {
		err = fmt.Errorf("%w: a preflight has no identity, and the upstream knows the proxy's own certificate", identity.ErrForbidden)
	}
	if err == nil && h.answer != nil {
		err = fmt.Errorf("%w: a preflight has no identity, and the front proxy would forward all that came with it", identity.ErrForbidden)
	}
	if err != nil {
		return h.refuse(w, r, ex, nil, err)
	}
	h.metrics.Requests.WithLabelValues(preflightSource, "ok").Inc()
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.kube_identity.source", preflightSource)
	}
	logAccess(r, ex, preflightSource, "", nil)
	traceUser(r, preflightSource, nil)
	h.logAllowed(r, ex, preflightSource, nil)
	on := &passage{Context: r.Context(), by: h}
	inner := r.WithContext(on) //nolint:contextcheck // on wraps the request's
	inner.Header = cloneHeader(r.Header, 0)
	delete(inner.Header, "Cookie")
	delete(inner.Header, "Authorization") // pass_authorization left it
	delete(inner.Header, "Content-Length")
	inner.Body, inner.ContentLength, inner.TransferEncoding = http.NoBody, 0, nil
	return h.forward(w, inner, on, next)
}
