// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"maps"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	introspection <url> {
//		client_id          <id>
//		client_secret_file <file>
//		client_auth        basic|post|none|private_key_jwt <file>|assertion_file <file>
//		issuer             <issuer>
//		audience           <value>...
//		token_header       <field>...
//		max_token_size     <size>
//		certificate_bound  off|present|required
//		username_claim     <claim> [<prefix>]
//		email_verified_optional
//		groups_claim       <claim> [<prefix>]
//		uid_claim          <claim>
//		required_claim     <claim> <value>
//		clock_skew         <duration>
//		trust_pool         <ca_pool_module> ...
//		cache_ttl          <duration>
//		negative_cache_ttl <duration>
//		cache_size         <n>
//		timeout            <duration>
//		qps                <n>
//		max_in_flight      <n>
//	}
//
// required_claim may appear more than once. A claim is a name, or, if it begins with a slash, a
// JSON Pointer.
func (i *Introspection) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if !d.AllArgs(&i.URL) {
		return d.ArgErr()
	}
	if err := option.Unexpanded(option.CheckSecureURL)(i.URL); err != nil {
		return d.Errf("parsing introspection: %v", err)
	}
	options := option.Options{
		"client_id":               option.Word(&i.ClientID, option.NotEmpty),
		"client_secret_file":      option.Word(&i.ClientSecretFile, option.CheckSecretFile),
		"client_auth":             i.parseAuth,
		"issuer":                  option.Word(&i.Issuer, option.NotEmpty),
		"audience":                option.List(&i.Audience, option.Each(option.NotEmpty)),
		"token_header":            i.parseTokenHeader,
		"max_token_size":          i.parseMaxTokenSize,
		"certificate_bound":       i.boundOption(),
		"username_claim":          claimAndPrefix(&i.UsernameClaim, &i.UsernamePrefix),
		"email_verified_optional": option.Flag(&i.EmailVerifiedOptional),
		"groups_claim":            claimAndPrefix(&i.GroupsClaim, &i.GroupsPrefix),
		"uid_claim":               option.Word(&i.UIDClaim, checkClaim),
		"required_claim":          i.parseRequiredClaim,
		"clock_skew":              clockSkew(&i.ClockSkew),
		"trust_pool":              trustpool.Option(&i.TrustPoolRaw),
	}
	maps.Copy(options, i.askingOptions())
	return option.Block(d, options, "required_claim")
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Introspection)(nil)
