// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("kube_identity", parseCaddyfile)

	// With the other authentication directives, and so before handle and route: sorted
	// to just before reverse_proxy it would come after them, and a proxy inside a handle
	// block would be reached without it.
	httpcaddyfile.RegisterDirectiveOrder("kube_identity", httpcaddyfile.After, "forward_auth")
}

// parseCaddyfile refuses a named route: if no handler in it has a matcher, Caddy 2.11 keeps
// the first handler alone (httpcaddyfile, extractNamedRoutes). After a header or a
// request_header, say, kube_identity would be lost without a word.
func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	if h.IsNamedRoute() {
		h.Next() // for the line in the error
		return nil, h.Err("kube_identity in a named route, of which Caddy may keep only the first handler: import a snippet instead")
	}
	handler := new(Handler)
	err := handler.UnmarshalCaddyfile(h.Dispenser)
	return handler, err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	kube_identity [<matcher>] {
//		# the direct peers that may assert a client's identity. Default: none
//		trusted_proxies <ip_source_module> ...
//		trusted_proxies_unix
//		insecure_trust_all_peers
//		trusted_proxy_cert {
//			trust_pool    <ca_pool_module> ...
//			allowed_names <common_name>...
//		}
//
//		# what is stripped besides the built-in list; a trailing * is a prefix
//		strip_headers <field>...
//		strip_cookies <name>...
//		pass_authorization
//		client_impersonation drop|reject|review
//		trusted_placeholder <name>...
//
//		# who is asking: sources, tried in the order written
//		client_cert [<preset>|tls] { ... }
//		forwarded [<preset>] { ... }
//		oidc <issuer> { ... }
//		authentication_config <file> [{ ... }]
//		token_review [{ ... }]
//		introspection <url> { ... }
//		placeholder { ... }
//		anonymous [<user>] { ... }
//
//		# what an identity may look like; a trailing * is a prefix
//		require_users  <pattern>...
//		require_groups <pattern>...
//		deny_users     <pattern>...
//		deny_groups    <pattern>...
//		allow_groups   <pattern>...
//		allow_reserved <name>...
//		max_groups     <n>
//
//		# how the plugin itself reaches the API server. Default: in-cluster
//		kubernetes {
//			kubeconfig <path> [<context>]
//			timeout    <duration>
//		}
//
//		# what the upstream receives
//		inject token [<field>] [{ ... }]
//		inject impersonation { ... }
//		inject headers { ... }
//		inject front_proxy [{ ... }]
//		inject <preset> [{ ... }]
//
//		# what a request without identity gets: 401, or
//		login     <url>
//		challenge <url>|<scheme>
//		keep_cache_control
//
//		# one browser session a site, where an oidc has a login
//		session {
//			path            <path>
//			cookie_name     <name>
//			cookie_domain   <domain>
//			lifetime        <duration>
//			idle_timeout    <duration>
//			key_file        <file>
//			store           [<storage_module>]
//			post_logout_url <url>|<path>
//			back_channel_logout
//			keep_fragment
//			insecure_http
//		}
//
//		# answer a front proxy that asks, instead of forwarding
//		respond
//
//		audit off|refused|all
//		cross_origin off|<trusted_origin>...
//		keep_streams
//	}
//
// Every option may be given once; sources and inject as often as needed.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.Errf("unexpected '%s': write 'kube_identity [<matcher>] { ... }', in which a matcher begins with @ or /, or is *", d.Val())
	}
	places := places{block: d.Token()}
	var presets []*injectors.Preset
	words, repeatable := h.words(&presets)
	if err := option.Block(d, places.noting(h, words), repeatable...); err != nil {
		return err
	}
	for _, preset := range presets {
		h.addPreset(preset)
	}
	return places.check(h)
}

// options maps each option of the block to its parser.
func (h *Handler) options() option.Options {
	field := option.Each(identity.CheckFieldPattern)
	pattern := option.Each(checkPattern)
	return option.Options{
		"trusted_proxies":          h.parseTrustedProxies,
		"trusted_proxies_unix":     option.Flag(&h.TrustedProxiesUnix),
		"insecure_trust_all_peers": option.Flag(&h.InsecureTrustAllPeers),
		"trusted_proxy_cert":       h.parseTrustedProxyCert,
		"strip_headers":            option.List(&h.StripHeaders, field),
		"strip_cookies":            option.List(&h.StripCookies, pattern),
		"pass_authorization":       option.Flag(&h.PassAuthorization),
		"client_impersonation":     option.Word(&h.ClientImpersonation, checkClientImpersonation),
		"trusted_placeholder":      option.PlaceholderNames(&h.TrustedPlaceholder),
		"require_users":            option.List(&h.RequireUsers, pattern),
		"require_groups":           option.List(&h.RequireGroups, pattern),
		"deny_users":               option.List(&h.DenyUsers, pattern),
		"deny_groups":              option.List(&h.DenyGroups, pattern),
		"allow_groups":             option.List(&h.AllowGroups, pattern),
		"allow_reserved":           option.List(&h.AllowReserved, option.Each(checkReserved)),
		"max_groups":               option.Number(&h.MaxGroups),
		"kubernetes":               h.parseKubernetes,
		"login":                    h.parseLogin,
		"challenge":                h.parseChallenge,
		"cross_origin":             h.parseCrossOrigin,
		"audit":                    option.Word(&h.Audit, checkAudit),
		"keep_cache_control":       option.Flag(&h.KeepCacheControl),
		"keep_streams":             option.Flag(&h.KeepStreams),
		"respond":                  option.Flag(&h.Respond),
		"session":                  h.parseSession,
	}
}

func (h *Handler) parseTrustedProxies(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if err := checkIPSource(d.Val()); err != nil {
		return d.WrapErr(err)
	}
	if err := checkStatic(d); err != nil {
		return err
	}
	raw, err := option.Guest(d, "http.ip_sources", "source", "ip source")
	h.TrustedProxiesRaw = raw
	return err
}

func (h *Handler) parseTrustedProxyCert(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	cert := new(TrustedProxyCert)
	h.TrustedProxyCert = cert
	at := d.Token()
	err := option.Block(d, option.Options{
		"trust_pool":    trustpool.Option(&cert.TrustPoolRaw),
		"allowed_names": option.List(&cert.AllowedNames, option.Each(option.NotEmpty)),
	})
	if err == nil && cert.TrustPoolRaw == nil {
		return errorAt(at, errors.New("trusted_proxy_cert: there is no trust_pool: name the CAs of the proxies, such as 'trust_pool file <path>'"))
	}
	return err
}

func (h *Handler) parseLogin(d *caddyfile.Dispenser) error {
	return option.Word(&h.Login, func(s string) error {
		if err := option.CheckScheme(s); err != nil && !strings.HasPrefix(s, "/") {
			return err
		}
		return cause(browser.NewLogin(s, ""))
	})(d)
}

func (h *Handler) parseChallenge(d *caddyfile.Dispenser) error {
	return option.Word(&h.Challenge, func(s string) error { return cause(browser.NewLogin("", s)) })(d)
}

func (h *Handler) parseCrossOrigin(d *caddyfile.Dispenser) error {
	return option.List(&h.CrossOrigin, func(args []string) error { return cause(browser.NewCrossOrigin(args)) })(d)
}

// cause leaves out the option's name, which the parser puts before an error itself.
func cause[T any](_ T, err error) error {
	if wrapped := errors.Unwrap(err); wrapped != nil {
		return wrapped
	}
	return err
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
