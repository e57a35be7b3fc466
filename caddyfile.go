// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	sourceNamespace   = "http.kube_identity.sources"
	injectorNamespace = "http.kube_identity.injectors"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("kube_identity", parseCaddyfile)

	// With the other authentication directives, and so before handle and route: sorted
	// to just before reverse_proxy it would come after them, and a proxy inside a handle
	// block would be reached without it.
	httpcaddyfile.RegisterDirectiveOrder("kube_identity", httpcaddyfile.After, "forward_auth")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	err := handler.UnmarshalCaddyfile(h.Dispenser)
	return handler, err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	kube_identity [<matcher>] {
//		# who may assert identity on a client's behalf: the direct peers. Default: nobody
//		trusted_proxies <ip_source_module> ...
//		trusted_proxies_unix
//		insecure_trust_all_peers
//		trusted_proxy_cert {
//			trust_pool    <ca_pool_module> ...
//			allowed_names <common_name>...
//		}
//
//		# what is taken off besides the built-in list; a trailing * is a prefix
//		strip_headers <field>...
//		strip_cookies <name>...
//		pass_authorization
//		client_impersonation drop|reject
//
//		# who is asking: sources, tried in the order written
//		client_cert [<preset>|tls] { ... }
//		forwarded [<preset>] { ... }
//		oidc <issuer> { ... }
//		authentication_config <file> [{ ... }]
//		token_review [{ ... }]
//		placeholder { ... }
//		anonymous [<user>] { ... }
//
//		# what an identity may look like; a trailing * is a prefix
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
//
//		cross_origin off|<trusted_origin>...
//		keep_streams
//	}
//
// Every option stands at most once; sources and inject as often as needed.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if parse, ok := h.options()[word]; ok {
			if err := seen.option(d, word); err != nil {
				return err
			}
			if err := parse(d); err != nil {
				return err
			}
			continue
		}
		if word == "inject" {
			if err := h.parseInject(d); err != nil {
				return err
			}
			continue
		}
		raw, err := parseGuest(d, sourceNamespace, "source", "subdirective")
		if err != nil {
			return err
		}
		h.SourcesRaw = append(h.SourcesRaw, raw)
	}
	return h.addPresets(d)
}

// options maps each option of the block to what parses it.
func (h *Handler) options() map[string]func(*caddyfile.Dispenser) error {
	field := each(identity.CheckFieldPattern)
	pattern := each(identity.CheckPattern)
	return map[string]func(*caddyfile.Dispenser) error{
		"trusted_proxies":          h.parseTrustedProxies,
		"trusted_proxies_unix":     flag(&h.TrustedProxiesUnix),
		"insecure_trust_all_peers": flag(&h.InsecureTrustAllPeers),
		"trusted_proxy_cert":       h.parseTrustedProxyCert,
		"strip_headers":            list(&h.StripHeaders, field),
		"strip_cookies":            list(&h.StripCookies, pattern),
		"pass_authorization":       flag(&h.PassAuthorization),
		"client_impersonation":     word(&h.ClientImpersonation, checkClientImpersonation),
		"deny_users":               list(&h.DenyUsers, pattern),
		"deny_groups":              list(&h.DenyGroups, pattern),
		"allow_groups":             list(&h.AllowGroups, pattern),
		"allow_reserved":           list(&h.AllowReserved, each(checkReserved)),
		"max_groups":               number(&h.MaxGroups),
		"kubernetes":               h.parseKubernetes,
		"login":                    h.parseLogin,
		"challenge":                h.parseChallenge,
		"cross_origin":             parseCrossOrigin(&h.CrossOrigin),
		"keep_streams":             flag(&h.KeepStreams),
	}
}

func (h *Handler) parseTrustedProxies(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	raw, err := parseGuest(d, "http.ip_sources", "source", "ip source")
	h.TrustedProxiesRaw = raw
	return err
}

func (h *Handler) parseTrustedProxyCert(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	cert := new(TrustedProxyCert)
	h.TrustedProxyCert = cert
	return block(d, map[string]func(*caddyfile.Dispenser) error{
		"trust_pool":    trustPool(&cert.TrustPoolRaw),
		"allowed_names": list(&cert.AllowedNames, each(notEmpty)),
	})
}

// trustPool parses the option trust_pool <ca_pool_module> ...
func trustPool(raw *json.RawMessage) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		var err error
		*raw, err = parseGuest(d, "tls.ca_pool.source", "provider", "trust_pool")
		return err
	}
}

// parseInject parses one inject directive.
func (h *Handler) parseInject(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if p, ok := presets()[d.Val()]; ok {
		return h.parsePreset(d, d.Val(), p)
	}
	raw, err := parseGuest(d, injectorNamespace, "injector", "injector")
	if err != nil {
		return err
	}
	h.InjectorsRaw = append(h.InjectorsRaw, raw)
	return nil
}

// parseGuest parses a guest module, whose name is the current token, into JSON with
// its name under key. what names its kind in an error.
func parseGuest(d *caddyfile.Dispenser, namespace, key, what string) (json.RawMessage, error) {
	name := d.Val()
	info, err := caddy.GetModule(namespace + "." + name)
	if err != nil {
		return nil, d.Errf("unrecognized %s '%s'", what, name)
	}
	guest, ok := info.New().(caddyfile.Unmarshaler)
	if !ok {
		return nil, d.Errf("%s '%s' cannot be configured by a Caddyfile", what, name)
	}
	segment := d.NewFromNextSegment()
	if err := guest.UnmarshalCaddyfile(segment); err != nil {
		return nil, err
	}
	if segment.Next() { // what a guest does not read would vanish without a word
		return nil, segment.Errf("unexpected '%s'", segment.Val())
	}
	return caddyconfig.JSONModuleObject(guest, key, name, nil), nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
