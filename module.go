// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
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

// Handler authenticates requests ahead of a reverse proxy. It strips from every request
// what the client says about its own identity. Then it asks the sources, in order, who the
// client is; the first source that finds its credential decides. The injectors write the
// identity into the request that is forwarded.
//
// Requests are refused with 400 (unreadable, or readable in two ways), 401 (no credential,
// or a bad one), 403 (proven, but policy says no), 405 (CONNECT, TRACE), 425 (unfinished
// TLS handshake), 500 (a guest module broke) and 503 (undecided, or the proxy has no
// credential of its own). The reason is logged; the client learns the status only.
// handle_errors routes work as for any handler.
//
// It sets the placeholders {http.auth.user.id}, {http.auth.user.groups},
// {http.auth.user.email} and {http.kube_identity.source} for requests that are forwarded,
// and {http.kube_identity.reason} for those that are refused.
type Handler struct {
	// TrustedProxiesRaw is the addresses of the proxies that may assert another client's identity, by any
	// module of Caddy's for IP sources ("static", "kubernetes_service"). The direct peer of the connection is
	// compared, never X-Forwarded-For. Ranges that together cover an address family are refused. Default: no
	// proxy is trusted.
	TrustedProxiesRaw json.RawMessage `json:"trusted_proxies,omitempty" caddy:"namespace=http.ip_sources inline_key=source"`

	// TrustedProxiesUnix trusts peers that connect by a unix socket. It has an effect only if every listener of
	// the server is a unix socket, which proves how the peer came. Default: they are not trusted.
	TrustedProxiesUnix bool `json:"trusted_proxies_unix,omitempty"`

	// InsecureTrustAllPeers allows TrustedProxies to cover a whole address family: every client that reaches
	// this server can then claim any identity. Default: such ranges are refused.
	InsecureTrustAllPeers bool `json:"insecure_trust_all_peers,omitempty"`

	// TrustedProxyCert trusts peers by their own TLS client certificate. Where TrustedProxies are given too,
	// both must hold. Default: a peer's certificate does not make it a proxy.
	TrustedProxyCert *TrustedProxyCert `json:"trusted_proxy_cert,omitempty"`

	// StripHeaders are header fields to strip besides the built-in ones; a trailing "*" is a prefix. Case and
	// the difference between "_", "." and "-" do not count. Default: none besides.
	StripHeaders []string `json:"strip_headers,omitempty"`

	// StripCookies are cookies to strip from requests, and as Set-Cookie from the upstream's responses; a
	// trailing "*" is a prefix. A cookie that a handler before this one sets is not the upstream's, and stays.
	// Default: none.
	StripCookies []string `json:"strip_cookies,omitempty"`

	// PassAuthorization forwards the client's own Authorization, for upstreams with their own login. It is
	// refused if a source reads the field or an injector writes it. Default: it is stripped.
	PassAuthorization bool `json:"pass_authorization,omitempty"`

	// ClientImpersonation decides about a client's own Impersonate-* fields ("kubectl --as"): "drop" forwards
	// the request without them, as the client itself; "reject" refuses it with 403; "review" asks the API
	// server whether the client may act as that user, and forwards the request as that user, or refuses it with
	// 403. The review needs "inject impersonation" with a credential for every source, and an API server that
	// is the upstream. Default: "drop"; "reject" with Respond and with the presets of API servers.
	ClientImpersonation string `json:"client_impersonation,omitempty"`

	// TrustedPlaceholder are placeholders that the source placeholder may read besides those of authentication:
	// exact names, without braces, of values that no client can write. Names below "http.request",
	// "http.regexp", "http.matchers" and "http.error" are refused, since a client writes these. Default: none.
	TrustedPlaceholder []string `json:"trusted_placeholder,omitempty" placeholders:"request"`

	// SourcesRaw find out who the client is. They are asked in order: the first that finds its credential
	// decides, good or bad, and the next is asked only if there is none. Required: at least one.
	SourcesRaw []json.RawMessage `json:"sources,omitempty" caddy:"namespace=http.kube_identity.sources inline_key=source"`

	// RequireUsers refuses with 403 an identity, the anonymous one too, whose user none of these matches: exact
	// names, as the source maps them, or prefixes with a trailing "*". A pattern that DenyUsers covers is
	// refused. Where RequireGroups is set, too, both must match. Default: every user that is proven may pass.
	RequireUsers []string `json:"require_users,omitempty"`

	// RequireGroups is the same for groups, of which one must match. The groups are those that the source
	// found, before AllowGroups leaves some out. Default: every user, also one without groups.
	RequireGroups []string `json:"require_groups,omitempty"`

	// DenyUsers and DenyGroups refuse with 403 an identity with such a user or group: exact names, or prefixes
	// with a trailing "*". Default: none.
	DenyUsers  []string `json:"deny_users,omitempty"`
	DenyGroups []string `json:"deny_groups,omitempty"`

	// AllowGroups are the only groups that are injected: exact names, or prefixes with a trailing "*". The
	// others are left out, and the request passes. Default: all groups.
	AllowGroups []string `json:"allow_groups,omitempty"`

	// AllowReserved are reserved names that may pass, only exact ones: users and groups that Kubernetes or a
	// distribution keeps for itself ("system:", "kubeadm:", "eks:", "gardener.cloud:", "clusterAdmin",
	// "clusterUser", "kube:admin"), and keys of extra attributes in a domain of Kubernetes ("kubernetes.io",
	// "k8s.io"). A name that is not reserved is refused here. Any other reserved name in an identity is refused
	// with 403, whichever source it comes from. Default: none.
	AllowReserved []string `json:"allow_reserved,omitempty"`

	// MaxGroups is how many groups an identity may have, after AllowGroups; one with more is refused with 403.
	// Default: 256.
	MaxGroups int `json:"max_groups,omitempty"`

	// Kubernetes says how the plugin itself reaches the API server, for token_review, service_account, the
	// review of ClientImpersonation and, unless it says otherwise, trusted_proxies kubernetes_service. Default: in-cluster.
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`

	// InjectorsRaw write the identity into the request that is forwarded. Every source must be covered by one;
	// two that write the same field for one source are refused. Required: at least one.
	InjectorsRaw []json.RawMessage `json:"injectors,omitempty" caddy:"namespace=http.kube_identity.injectors inline_key=injector"`

	// Login is the URL, or the path on this site, to which a browser without an identity is redirected when it
	// navigates to a page. Its query must contain at least one of "${url}" (the URL of the request, escaped),
	// "${query}" (the query as it came) and "${server-relative-url}" (path and query, escaped). Default: no
	// redirect, but 401.
	Login string `json:"login,omitempty" placeholders:"own"`

	// Challenge is for other clients: a URL like Login, for those that send a non-empty X-CSRF-Token (as oc
	// does), or a value of WWW-Authenticate, such as "Negotiate". Default: "Bearer".
	Challenge string `json:"challenge,omitempty" placeholders:"own"`

	// KeepCacheControl leaves the response to a navigation as the upstream wrote it, where Login is set or a
	// source has a login. Default: a response without Cache-Control gets "no-cache", so that a browser does not
	// show the page from its cache after the session has ended.
	KeepCacheControl bool `json:"keep_cache_control,omitempty"`

	// CrossOrigin are origins, such as https://portal.example.com, whose pages may send state-changing requests
	// and open websockets, whatever the credential. Their preflights are forwarded without an identity; those
	// of other origins are refused. "off" allows all. Default: only this site's own pages.
	CrossOrigin []string `json:"cross_origin,omitempty"`

	// Session is how the login of a browser is kept. It is refused unless a source has a login. Default: with
	// the defaults of its options.
	Session *Session `json:"session,omitempty"`

	// KeepStreams lets an upgraded connection, or a response without a Content-Length, outlive the credential
	// that opened it, and a logout. Default: it ends when the credential expires.
	KeepStreams bool `json:"keep_streams,omitempty"`

	// Respond makes the handler answer itself, for a front proxy that asks whether to forward a request, and as
	// whom (nginx auth_request, Traefik ForwardAuth, Caddy forward_auth, Envoy ext_authz over HTTP). The
	// injectors write into the response, with status 200; refusals are as always. The request that is judged is
	// the one that a trusted proxy describes in X-Original-Method and X-Original-URI or X-Original-URL, or
	// X-Forwarded-Method and X-Forwarded-Uri. It is refused beside sources that believe fields of a proxy,
	// injectors that write a credential or several lines, a login of a source, Session, PassAuthorization, KeepStreams,
	// KeepCacheControl, StripCookies and a ClientImpersonation other than "reject". Default: the request is
	// forwarded.
	Respond bool `json:"respond,omitempty"`

	// Audit is which decisions are logged for an audit, by the logger http.handlers.kube_identity.audit: "off",
	// "refused" or "all". There is one line a decision, with the request, its sender, the user and the reason;
	// a log of its own can include it. Default: "refused".
	Audit string `json:"audit,omitempty"`

	title       string // the words by which an operator knows it
	at          place
	logger      *zap.Logger
	audit       *zap.Logger
	metrics     *guest.Metrics
	trust       trust
	stripRules  identity.StripRules
	login       browser.Login
	crossOrigin *browser.CrossOrigin
	reviews     *impersonationReviews // nil: clients do not act as other users
	policy      identity.Policy
	sources     []*configuredSource
	fallback    *configuredSource // the last source, where it is an identity.Fallback
	injectors   []Injector

	target func(header http.Header, room int) http.Header // into which the injectors write
	answer caddyhttp.Handler                              // in the place of the next handler; nil: that one

	exchanges exchanges

	member  *guest.Member
	details bool // a handler behind this one asks what it found out

	sessions   *sessions   // nil: browsers do not log in here
	membership *membership // of the sessions' state
	sessionKey string      // in sessionStates

	errorRoutes   bool // a subroute around the handler has error routes
	usesTransport bool // an injector's upstream knows the proxy by its own certificate

	certificateReaders []identity.CertificateReader // of trusted proxies' clients
	neverAsks          bool                         // no TLS policy of the server asks for a certificate

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

// ServeHTTP strips what the request says about its sender, finds out who that is, and
// forwards the request with exactly that identity, or refuses it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	defer dropTrailers(r.Body, r.Trailer, &err)
	ex := h.exchanges.begin()
	defer func() { h.exchanges.end(ex) }()
	err = h.shape(r, ex)
	if h.sessions != nil {
		ex.cookies = r.Header["Cookie"]
	}
	h.strip(r, ex) // of refused shapes too: error routes must not see who the client claims to be
	err = cmp.Or(err, h.recognize(r, ex))
	switch {
	case err != nil && h.sessions != nil && h.sessions.owns(r):
		return h.sessions.refuse(w, r, ex, err)
	case err != nil:
		return h.refuse(w, r, ex, nil, err)
	}
	if h.sessions != nil && h.sessions.locate(r, ex) {
		return h.sessions.serve(w, r, ex)
	}
	if browser.IsPreflight(ex.browser(r)) {
		return h.preflight(w, r, ex, next)
	}
	src, id, err := h.authenticate(r.Context(), ex)
	if err != nil {
		return h.refuse(w, r, ex, src, err)
	}
	who, err := h.check(r, ex, src, id)
	if err != nil {
		return h.refuse(w, r, ex, src, err)
	}
	on := h.newPassage(r.Context(), ex, src, who)
	defer on.stream.close()
	inner, err := h.inject(on, r, src, id, who) //nolint:contextcheck // on wraps the request's
	if err != nil {
		return h.refuse(w, r, ex, src, err)
	}
	if h.details {
		on.tell(ex, src, who, inner.Header)
	}
	h.announce(r, ex, src, who)
	h.exchanges.end(ex) // a stream lasts, and must not keep the client's token in memory
	ex = nil
	return h.forward(w, inner, on, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
