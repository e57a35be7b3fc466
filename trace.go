// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// span is the span of a request that Caddy's handler tracing has begun; nil without one.
func span(r *http.Request) trace.Span {
	if s := trace.SpanFromContext(r.Context()); s.IsRecording() {
		return s
	}
	return nil
}

// traceUser says who the client is (OpenTelemetry's semantic conventions, user.id).
func traceUser(r *http.Request, source string, user *identity.User) {
	s := span(r)
	if s == nil {
		return
	}
	s.SetAttributes(attribute.String("kube_identity.source", source))
	if user != nil {
		s.SetAttributes(attribute.String("user.id", user.Username))
	}
}

// traceRefusal says how a request was refused. The status has a name of its own: an error
// route writes it when the span has ended, and http.response.status_code would be 200.
func traceRefusal(r *http.Request, source, reason, label string, status int, user *identity.User) {
	s := span(r)
	if s == nil {
		return
	}
	traceUser(r, source, user)
	s.SetAttributes(
		attribute.Int("kube_identity.status", status),
		attribute.String("kube_identity.reason", reason),
		attribute.String("error.type", label))
	if status >= http.StatusInternalServerError { // of a server's span only these are errors
		s.SetStatus(codes.Error, label)
	}
}
