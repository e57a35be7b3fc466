// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"net/http"
	"net/url"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// result is what becomes of a request: the value of the metric's label, the status
// for the client and the level for the log.
type result struct {
	label  string
	status int
	level  zapcore.Level
}

// resultOf is the one place where a refusal becomes a status.
func resultOf(err error) result {
	switch {
	case err == nil:
		return result{"ok", http.StatusOK, zap.DebugLevel}
	case errors.Is(err, identity.ErrInternal):
		return result{"internal", http.StatusInternalServerError, zap.ErrorLevel}
	case errors.Is(err, identity.ErrUnavailable):
		return result{"unavailable", http.StatusServiceUnavailable, zap.ErrorLevel}
	case errors.Is(err, identity.ErrMethod):
		return result{"method", http.StatusMethodNotAllowed, zap.InfoLevel}
	case errors.Is(err, identity.ErrTooEarly):
		return result{"too_early", http.StatusTooEarly, zap.InfoLevel}
	case errors.Is(err, identity.ErrMalformed):
		return result{"malformed", http.StatusBadRequest, zap.WarnLevel}
	case errors.Is(err, identity.ErrForbidden):
		return result{"forbidden", http.StatusForbidden, zap.WarnLevel}
	case errors.Is(err, identity.ErrRejected):
		return result{"rejected", http.StatusUnauthorized, zap.WarnLevel}
	case errors.Is(err, identity.ErrAbsent):
		return result{"absent", http.StatusUnauthorized, zap.InfoLevel}
	default:
		return result{"internal", http.StatusInternalServerError, zap.ErrorLevel}
	}
}

// retryAfter is what a 503 tells the client, in seconds.
const retryAfter = "5"

// refuse ends a request: the status for the client, the reason for the log. src is nil
// when no source decided.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, req *request, src *source, err error) error {
	res := resultOf(err)
	var location string
	if res.status == http.StatusUnauthorized {
		if location = h.login.Location(req.browser(r), askedFor(r), err); location != "" {
			res.status = http.StatusFound
		}
	}
	name := src.label()
	h.metrics.Requests.WithLabelValues(name, res.label).Inc()
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.kube_identity.reason", err.Error())
		repl.Set("http.kube_identity.source", name)
	}
	if entry := h.logger.Check(res.level, "refused"); entry != nil {
		fields := []zap.Field{
			zap.String("source", name),
			zap.String("peer", req.Peer.String()),
			zap.String("reason", err.Error()),
			zap.Int("status", res.status),
		}
		var broke interface{ Stack() []byte } // a panic, here or in a judgement on a token
		if errors.As(err, &broke) {
			fields = append(fields, zap.ByteString("stack", broke.Stack()))
		}
		entry.Write(fields...)
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store") // a cache may keep a 405, and worse, by itself
	switch res.status {
	case http.StatusFound:
		header.Set("Location", location)
		w.WriteHeader(http.StatusFound)
		return nil
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", h.login.Scheme())
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	return caddyhttp.Error(res.status, err)
}

// logFallback tells that a bad credential is about to become anonymous, which is the
// operator's wish (on_failure) and should still be seen.
func (h *Handler) logFallback(req *request, src *source, err error) {
	h.logger.Info("falling back",
		zap.String("source", src.label()),
		zap.String("peer", req.Peer.String()),
		zap.String("reason", err.Error()))
}

// askedFor is the URL that the client asked for: rewrite, uri and handle_path may have
// changed it before this handler, and the way back leads through them again.
func askedFor(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}
