// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package kubeidentity is the Caddy module http.handlers.kube_identity: it makes Caddy
// the authenticating reverse proxy that Kubernetes dashboards and API servers expect
// in front of them.
//
// It takes every field that speaks of the sender off a request, finds out who is
// asking, and writes exactly one identity back, ahead of reverse_proxy. It promises:
//
//  1. After the first step the request says nothing about its sender; only the last
//     step writes an identity.
//  2. A credential and its subject are written together or not at all.
//  3. A credential that is present but bad never becomes a weaker one, and is
//     anonymous only where the operator asked for exactly that.
//  4. What cannot be decided is refused: unknown is 401, unreachable is 503, and
//     nothing is forwarded.
//  5. The client learns the status, the log learns the reason, nobody learns a token.
//
// This package is the part that knows Caddy: one file for each directive, with the
// same word for directive, JSON value, file and log value. What is taken off, what is
// trusted and what a name may look like is in package identity; what is written, in
// package impersonation.
package kubeidentity

import (
	"encoding/json"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler authenticates requests ahead of a reverse proxy. Whatever a client says
// about its own identity is taken off every request. Sources are then asked in order
// who is asking; the first that finds its credential decides. The identity that
// results is written by the injectors into the request that goes on.
//
// Requests are refused with 400 (what was sent cannot be read, or in two ways), 401 (no
// credential, or a bad one), 403 (proven, but policy says no), 405 (CONNECT, TRACE),
// 425 (unfinished TLS handshake), 500 (a guest module broke) and 503 (it could not be
// decided, or the proxy has no credential of its own). The reason is logged; the
// client learns the status only. handle_errors routes work as for any handler.
//
// It sets the placeholders {http.auth.user.id}, {http.auth.user.groups},
// {http.auth.user.email} and {http.kube_identity.source} for requests that go on, and
// {http.kube_identity.reason} for those that are refused.
type Handler struct {
	// TrustedProxiesRaw is the ranges of addresses of proxies that may say who somebody
	// else is. Judged is the direct peer of the connection, never X-Forwarded-For.
	// Ranges that together cover an address family are refused. Default: nobody.
	TrustedProxiesRaw json.RawMessage `json:"trusted_proxies,omitempty" caddy:"namespace=http.ip_sources inline_key=source"`

	// TrustedProxiesUnix trusts peers that come by a unix socket. It takes effect where
	// every listener of the server is a unix socket, which proves it.
	TrustedProxiesUnix bool `json:"trusted_proxies_unix,omitempty"`

	// InsecureTrustAllPeers allows TrustedProxies to cover a whole address family, so
	// that anybody who reaches this server can claim to be anybody.
	InsecureTrustAllPeers bool `json:"insecure_trust_all_peers,omitempty"`

	// TrustedProxyCert trusts peers by their own TLS client certificate. Where ranges
	// are given too, both must hold.
	TrustedProxyCert *TrustedProxyCert `json:"trusted_proxy_cert,omitempty"`

	// StripHeaders are header fields to take off besides the built-in ones; a trailing
	// "*" is a prefix. Names are compared without regard to case and to "_", "." and "-".
	StripHeaders []string `json:"strip_headers,omitempty"`

	// StripCookies are cookies to remove from requests, and from responses as Set-Cookie; a
	// trailing "*" is a prefix.
	StripCookies []string `json:"strip_cookies,omitempty"`

	// PassAuthorization lets the client's Authorization go on, for upstreams that have
	// a login of their own. Refused where a source reads the field or an injector
	// writes it.
	PassAuthorization bool `json:"pass_authorization,omitempty"`

	// ClientImpersonation says what becomes of a client's own Impersonate-* (kubectl
	// --as): "drop" takes it off, so that the request goes on as the client itself,
	// "reject" refuses the request with 403. Default: drop.
	ClientImpersonation string `json:"client_impersonation,omitempty"`

	// SourcesRaw find out who is asking, in order. At least one.
	SourcesRaw []json.RawMessage `json:"sources,omitempty" caddy:"namespace=http.kube_identity.sources inline_key=source"`

	// DenyUsers and DenyGroups refuse an identity: exact names, or prefixes with a
	// trailing "*".
	DenyUsers  []string `json:"deny_users,omitempty"`
	DenyGroups []string `json:"deny_groups,omitempty"`

	// AllowGroups, when there are any, are the only groups that go on.
	AllowGroups []string `json:"allow_groups,omitempty"`

	// AllowReserved are exact user or group names beginning with "system:" that may
	// pass. Without it such a name is refused with 403, whichever source it comes from.
	AllowReserved []string `json:"allow_reserved,omitempty"`

	// MaxGroups is how many groups may go on; an identity with more is refused.
	// Default: 256.
	MaxGroups int `json:"max_groups,omitempty"`

	// Kubernetes says how the plugin itself reaches the API server, for token_review and
	// service_account. Default: in-cluster.
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`

	// InjectorsRaw write the identity into the request that goes on. At least one, and
	// every source must be covered by one.
	InjectorsRaw []json.RawMessage `json:"injectors,omitempty" caddy:"namespace=http.kube_identity.injectors inline_key=injector"`

	// Login is the URL, or the path on this site, that browsers without an identity are
	// sent to when they go to a page, instead of 401. In its query "${url}" is the URL of the
	// request, escaped, "${query}" its query as it came, "${server-relative-url}" its path and
	// query, escaped: at least one must be there. Default: 401.
	Login string `json:"login,omitempty"`

	// Challenge is for other clients: a URL like Login, which those that send a non-empty
	// X-CSRF-Token are sent to (as oc does), or a value of WWW-Authenticate. Default: Bearer.
	Challenge string `json:"challenge,omitempty"`

	// CrossOrigin are origins, such as https://portal.example.com, whose pages may change
	// something here or open a websocket with what a browser sends by itself, or "off".
	// Default: none but this site's own pages.
	CrossOrigin []string `json:"cross_origin,omitempty"`

	// KeepStreams lets a streaming or upgraded response outlive the credential that
	// opened it. Default: it ends when the credential expires.
	KeepStreams bool `json:"keep_streams,omitempty"`

	logger      *zap.Logger
	metrics     *guest.Metrics
	trust       trust
	taker       identity.Taker
	login       browser.Login
	crossOrigin *browser.CrossOrigin
	policy      identity.Policy
	sources     []*source
	fallback    *source // the last source, where it is an identity.Fallback
	injectors   []Injector
	credentials []string        // canonical fields that hold credentials of clients
	proxyOnly   *identity.Names // fields that are dropped unless the peer is trusted; nil where there are none
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.kube_identity",
		New: func() caddy.Module { return new(Handler) },
	}
}

// ServeHTTP takes the sender off the request, finds out who it is, and lets the
// request go on with exactly that identity, or refuses it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	if r.Trailer != nil {
		defer dropTrailers(r.Body, r.Trailer, &err)
	}
	upgrade, err := shapeOf(r).Check()
	req := h.take(r, upgrade) // of refused shapes too: error routes must not see who the client claims to be
	h.recognize(r, req)
	if err != nil {
		return h.refuse(w, r, req, nil, err)
	}
	src, id, err := h.authenticate(r.Context(), req)
	if err == nil {
		err = h.check(r, req, id)
	}
	if err != nil {
		return h.refuse(w, r, req, src, err)
	}
	inner, end, err := h.inject(r, src, id)
	if err != nil {
		return h.refuse(w, r, req, src, err)
	}
	defer end()
	h.announce(r, req, src, id)
	return h.forward(w, inner, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
