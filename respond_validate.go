// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// LineCounter is implemented by an injector that says which of its fields may come in several
// lines. With the option respond all injectors must say so: front proxies do not agree on what
// they do with several lines.
type LineCounter interface {
	// Repeats returns the fields that may have more than one line for one identity; a
	// trailing "*" is a prefix. None: each has one line at most.
	Repeats() []string
}

// PeerProver is implemented by a source that may prove who the direct peer is. With the option
// respond that is the front proxy, whoever the client is.
type PeerProver interface {
	identity.Source

	// ProvesPeer says that it does.
	ProvesPeer() bool
}

// notForAnswers are fields of a response that its readers act on, or that belong to one hop. The
// others are of requests: a front proxy that copies them would lose its own.
func notForAnswers() []string {
	return []string{
		"Authorization", "Proxy-*", "WWW-Authenticate", "Authentication-Info", "Cookie*", "Set-Cookie*",
		"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-*", "Accept-*",
		"Cache-Control", "Pragma", "Expires", "Age", "Date", "ETag", "Last-Modified", "Vary", "Via", "Warning",
		"Location", "Refresh", "Allow", "Retry-After", "Link", "Server", "Status", "Alt-Svc", "Clear-Site-Data",
		"Strict-Transport-Security", "Access-Control-*", "X-Frame-Options", "NEL", "Report-To", "Reporting-Endpoints",
		"X-Accel-*", "X-Sendfile", "X-Envoy-*", // nginx and Envoy take these for orders
		"Host", "Origin", "Sec-*", "Forwarded", "X-Real-Ip", "X-Original-*", "Grpc-Status", "Grpc-Message",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
		"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Prefix",
		"Impersonate-*", // the front proxy would forward the client's own Impersonate-Extra-* beside them
	}
}

// validateRespond refuses what an answer cannot do, and what would be unsafe in the
// front proxy.
func (h *Handler) validateRespond() error {
	if !h.Respond {
		return nil
	}
	return errors.Join(h.validateAnswerOptions(), h.validateAnswerSources(), h.validateAnswerInjectors())
}

func (h *Handler) validateAnswerOptions() error {
	var errs []error
	for _, option := range []struct {
		set       bool
		name, why string
	}{
		{h.PassAuthorization, "pass_authorization", "no request is forwarded here, and Envoy is told to remove Authorization"},
		{h.KeepStreams, "keep_streams", "an answer is not a stream: the front proxy ends its streams"},
		{h.KeepCacheControl, "keep_cache_control", "an answer is never kept"},
		{len(h.StripCookies) > 0, "strip_cookies", "an answer cannot strip cookies from the client's request: " +
			"let the front proxy do it, and for a preset write its fields with inject headers"},
		{h.ClientImpersonation != "reject", "client_impersonation " + h.ClientImpersonation, "an answer cannot strip Impersonate-Extra-* " +
			"from the client's request: the default is reject here"},
		{h.Session != nil || h.sessions != nil, "session, and login of oidc", "a renewed session cookie does not come back through the " +
			"front proxy, and a page of the session's with status 200 would mean yes: use login <url>, or put Caddy in the path"},
	} {
		if option.set {
			errs = append(errs, fmt.Errorf("respond beside %s: %s", option.name, option.why))
		}
	}
	return errors.Join(errs...)
}

func (h *Handler) validateAnswerSources() error {
	var errs []error
	for _, src := range h.sources {
		if src.Reads().Proxy {
			errs = append(errs, fmt.Errorf("respond: the source %s believes fields of a trusted proxy, and front proxies pass a client's own "+
				"fields on when they ask", src.name))
		}
		if prover, ok := src.Source.(PeerProver); ok && prover.ProvesPeer() {
			errs = append(errs, fmt.Errorf("respond: the source %s proves who the direct peer is, which is the front proxy, not the client", src.name))
		}
	}
	return errors.Join(errs...)
}

func (h *Handler) validateAnswerInjectors() error {
	var errs []error
	for _, injector := range h.injectors {
		if err := checkAnswer(injector); err != nil {
			errs = append(errs, fmt.Errorf("respond: inject %s: %w", injector.(caddy.Module).CaddyModule().ID.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// checkAnswer refuses an injector whose fields cannot be an answer. A credential must not be one:
// a client that names the other fields in Connection would have Caddy's forward_auth send it
// without the user.
func checkAnswer(injector Injector) error {
	if sends, _ := tokenSent(injector); sends {
		return errors.New("it writes the user's own token, and an answer must not have a credential")
	}
	if writer, ok := injector.(TokenWriter); ok && len(writer.TokenFields()) > 0 {
		return fmt.Errorf("it writes a credential into %s, and an answer must not have one", strings.Join(writer.TokenFields(), ", "))
	}
	if writer, ok := injector.(CookieWriter); ok && len(writer.Cookies()) > 0 {
		return errors.New("it writes a cookie, which an answer cannot")
	}
	if slices.Contains(injector.Writes(), "Authorization") {
		return errors.New("it writes a credential into Authorization, and an answer must not have one")
	}
	if field, found := identity.Overlap(injector.Writes(), notForAnswers()); found {
		return fmt.Errorf("%s has a meaning of its own in a response, or in the front proxy's request", field)
	}
	counter, ok := injector.(LineCounter)
	if !ok {
		return errors.New("it does not say which fields it repeats (LineCounter)")
	}
	if repeated := counter.Repeats(); len(repeated) > 0 {
		return fmt.Errorf("it writes %s in several lines, of which a front proxy keeps the first, the last, or all in one: "+
			"give groups a separator, and leave out extra attributes", strings.Join(repeated, ", "))
	}
	return nil
}
