// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// result is how a refused request ends.
type result struct {
	err    error         // the sentinel
	label  string        // value of the metric's label
	status int           // for the client
	reason string        // the same in the words of the Kubernetes API
	level  zapcore.Level // for the log

	// header is a field of the response, and value its value; empty for what the option
	// challenge says.
	header, value string
}

// results is the one place where a refusal becomes a status. The first is also for an error
// that wraps no sentinel.
var results = [...]result{ //nolint:gochecknoglobals // a table
	{identity.ErrInternal, "internal", http.StatusInternalServerError, "InternalError", zap.ErrorLevel, "", ""},
	{identity.ErrUnavailable, "unavailable", http.StatusServiceUnavailable, "ServiceUnavailable", zap.ErrorLevel, "Retry-After", "5"},
	{identity.ErrMethod, "method", http.StatusMethodNotAllowed, "MethodNotAllowed", zap.InfoLevel, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
	{identity.ErrTooEarly, "too_early", http.StatusTooEarly, "", zap.InfoLevel, "", ""},
	{identity.ErrMalformed, "malformed", http.StatusBadRequest, "BadRequest", zap.WarnLevel, "", ""},
	{identity.ErrForbidden, "forbidden", http.StatusForbidden, "Forbidden", zap.WarnLevel, "", ""},
	{identity.ErrRejected, "rejected", http.StatusUnauthorized, "Unauthorized", zap.WarnLevel, "WWW-Authenticate", ""},
	{identity.ErrAbsent, "absent", http.StatusUnauthorized, "Unauthorized", zap.InfoLevel, "WWW-Authenticate", ""},
}

// refusalLabels are the values that a refusal has in the metric.
func refusalLabels() []string {
	labels := make([]string, 0, len(results))
	for i := range results {
		labels = append(labels, results[i].label)
	}
	return labels
}

func resultOf(err error) *result {
	for i := range results {
		if errors.Is(err, results[i].err) {
			return &results[i]
		}
	}
	return &results[0]
}

// refuse ends a request: the status for the client, the reason for the log. src is nil
// when no source decided.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, ex *exchange, src *configuredSource, err error) error {
	res := resultOf(err)
	status, location := res.status, ""
	if status == http.StatusUnauthorized {
		_, _, asked := ex.asked(r)
		if location = h.login.Location(ex.browser(r), asked, err); location != "" {
			status = http.StatusFound
		}
	}
	if status == http.StatusUnauthorized && location == "" && h.startsLogin(r, ex, err) {
		return h.startLogin(w, r, ex, src, err)
	}
	h.metrics.Requests.WithLabelValues(src.label(), res.label).Inc()
	tell(r, src.label(), err.Error(), "")
	h.logRefusal(res.level, status, r, ex, src, err)
	logAccess(r, ex, src.label(), err.Error(), ex.refused(status))
	traceRefusal(r, src.label(), err.Error(), res.label, status, ex.refused(status))
	header := w.Header()
	header.Set("Cache-Control", "no-store") // without it a cache may keep a 405 (RFC 9110, section 15.5.6)
	if ex.use != nil {                      // a session may have been refreshed all the same, and its old refresh token is spent
		ex.use.addTo(header)
	}
	if location != "" {
		header.Set("Location", location)
		w.WriteHeader(status)
		return nil
	}
	if res.header != "" {
		header.Set(res.header, cmp.Or(res.value, h.login.Scheme()))
	}
	refused := caddyhttp.Error(status, res.err) // error routes often print the message to the client
	if (browser.WantsJSON(r.Header) || isReviewed(err)) && !h.hasErrorRoute(r, refused) {
		writeStatus(w, res, err)
		return nil
	}
	if h.answer != nil { // an error route could turn it into a 200, which means yes
		w.WriteHeader(status)
		return nil
	}
	if h.sessions != nil && ex.page && !h.hasErrorRoute(r, refused) {
		switch {
		case status == http.StatusUnauthorized:
			return h.sessions.show(w, status, h.sessions.loginLink())
		case status == http.StatusForbidden && ex.use != nil:
			return h.sessions.show(w, status, h.sessions.forbidden())
		}
	}
	return refused
}

// tell fills in the placeholders for error routes. login is the result of a login that failed, as
// the metric of logins names it, or empty.
func tell(r *http.Request, source, reason, login string) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.kube_identity.reason", reason)
		repl.Set("http.kube_identity.source", source)
		repl.Set("http.kube_identity.login", login)
	}
}

// startsLogin says whether a request without an identity is sent to the issuer. A request with a
// bearer token is not: a session would not count beside it.
func (h *Handler) startsLogin(r *http.Request, ex *exchange, err error) bool {
	return h.sessions != nil && browser.StartsLogin(ex.browser(r)) && !h.isExplicit(ex.Stripped) &&
		(!identity.IsBadCredential(err) || len(r.Header["Sec-Fetch-Mode"]) > 0)
}

// startLogin answers with the redirect to the issuer, or with a page if that cannot be.
func (h *Handler) startLogin(w http.ResponseWriter, r *http.Request, ex *exchange, src *configuredSource, err error) error {
	label := resultOf(err).label
	h.metrics.Requests.WithLabelValues(src.label(), label).Inc()
	h.logRefusal(zap.InfoLevel, http.StatusSeeOther, r, ex, src, err)
	logAccess(r, ex, src.label(), err.Error(), nil)
	traceRefusal(r, src.label(), err.Error(), label, http.StatusSeeOther, nil)
	_, asked := asItCame(r)
	to, pathErr := h.sessions.returnPath(asked.RequestURI())
	if pathErr != nil {
		to = "/" // a browser's own navigation is never so
	}
	return h.sessions.start(w, r, ex, plan{login: h.sessions.remembered(r.Context(), ex), to: to, instead: true})
}

// logFallback logs that a bad credential is about to become anonymous. The operator wants
// that (on_failure), and should still be able to see it.
func (h *Handler) logFallback(ex *exchange, src *configuredSource, err error) {
	h.logger.Info("falling back",
		zap.String("source", src.label()),
		zap.String("peer", ex.Peer.String()),
		zap.String("reason", err.Error()))
}

// logStreamEnd logs that a stream ends with its credential: reverse_proxy's own line, if
// there is one, says only that the context was canceled.
func (h *Handler) logStreamEnd(source, peer, reason string) {
	h.logger.Info("stream ended",
		zap.String("source", source),
		zap.String("peer", peer),
		zap.String("reason", reason))
}

// asItCame returns what the client asked for. The handlers method, rewrite, uri and
// handle_path may have changed it since, and will again when the client comes back from the
// login.
func asItCame(r *http.Request) (method string, asked *url.URL) {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.Method, original.URL
	}
	return r.Method, r.URL
}
