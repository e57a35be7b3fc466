// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// oidcPresets are the identity-aware proxies that put a token of their own into a field,
// as their documentation has it. A preset exists only in the Caddyfile: it expands into
// the explicit options. "<issuer>" is replaced by the issuer.
func oidcPresets() map[string]OIDC {
	return map[string]OIDC{
		// https://docs.cloud.google.com/iap/docs/signed-headers-howto
		"google_iap": {
			Bearer:       Bearer{TokenHeader: []string{"X-Goog-IAP-JWT-Assertion"}},
			JWKSURL:      "https://www.gstatic.com/iap/verify/public_key-jwk",
			ClaimOptions: ClaimOptions{UsernameClaim: "email", EmailVerifiedOptional: true},
			SigningAlgs:  []string{"ES256"},
		},
		// https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/
		"cloudflare_access": {
			Bearer:       Bearer{TokenHeader: []string{"Cf-Access-Jwt-Assertion"}},
			JWKSURL:      "<issuer>/cdn-cgi/access/certs",
			ClaimOptions: ClaimOptions{UsernameClaim: "email", EmailVerifiedOptional: true},
			SigningAlgs:  []string{"RS256"},
		},
		// https://www.pomerium.com/docs/capabilities/getting-users-identity
		"pomerium": {
			Bearer:       Bearer{TokenHeader: []string{"X-Pomerium-Jwt-Assertion"}},
			JWKSURL:      "<issuer>/.well-known/pomerium/jwks.json",
			ClaimOptions: ClaimOptions{UsernameClaim: "email", EmailVerifiedOptional: true, GroupsClaim: "groups"},
			SigningAlgs:  []string{"ES256"},
		},
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	oidc <issuer> {
//		preset             <preset>
//		audience           <value>...
//		authorized_party   <value>...
//		token_header       <field>...
//		discovery_url      <url>
//		max_token_size     <size>
//		certificate_bound  off|present|required
//		jwks_url           <url>
//		jwks_file          <path>
//		username_claim     <claim> [<prefix>]
//		email_verified_optional
//		groups_claim       <claim> [<prefix>]
//		uid_claim          <claim>
//		required_claim     <claim> <value>
//		signing_algs       <alg>...
//		clock_skew         <duration>
//		trust_pool         <ca_pool_module> ...
//		groups_from        microsoft_graph {
//			tenant             <id>
//			cloud              public|us_government|us_government_dod|china
//			client_id          <id>
//			client_secret_file <file>
//			client_auth        basic|post|private_key_jwt <file>|assertion_file <file>
//			all_groups
//		}
//		login {
//			client_id          <id>
//			client_secret_file <file>
//			client_auth        basic|post|none|private_key_jwt <file>|assertion_file <file>
//			scopes             <scope>...
//			parameter          <name> <value>
//			redirect_url       <url>
//			response_mode      query|form_post
//			name               <label>
//			authorization_url  <url>
//			token_url          <url>
//			end_session_url    <url>
//			revocation_url     <url>
//			refresh            off|<margin>
//		}
//	}
//
// The presets are those of the table in the manual. An option in the block replaces the
// preset's value. required_claim and parameter may appear more than once. A claim is a name, or, if it
// begins with a slash, a JSON Pointer.
func (o *OIDC) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	here := option.Here(d)
	if !d.AllArgs(&o.Issuer) {
		return d.ArgErr()
	}
	if err := option.NotEmpty(o.Issuer); err != nil {
		return d.Errf("parsing oidc: %v", err)
	}
	if issuer, found := strings.CutSuffix(o.Issuer, "/.well-known/openid-configuration"); found {
		return d.Errf("parsing oidc: this is the URL of the issuer's discovery document: write 'oidc %s'", issuer)
	}
	preset := ""
	options := o.options()
	options["preset"] = func(d *caddyfile.Dispenser) error {
		if !d.AllArgs(&preset) {
			return d.ArgErr()
		}
		if _, ok := oidcPresets()[preset]; !ok {
			return option.UnknownPreset(d, "oidc", oidcPresets())
		}
		return option.NoBlock(d)
	}
	if err := option.Block(d, options, "required_claim"); err != nil {
		return err
	}
	if preset == "" {
		return o.checkIssuerURL(here)
	}
	o.fill(oidcPresets()[preset])
	if strings.HasPrefix(o.JWKSURL, "https://{") {
		return d.Err("parsing preset: the issuer must be written out, or be a {$VARIABLE} of the Caddyfile: the preset makes jwks_url of it")
	}
	return nil
}

// checkIssuerURL refuses an issuer that is not an https URL where discovery needs it: an issuer that is
// not a URL is known by its keys.
func (o *OIDC) checkIssuerURL(here *caddyfile.Dispenser) error {
	if o.DiscoveryURL != "" || o.JWKSURL != "" || o.JWKSFile != "" {
		return nil
	}
	switch {
	case strings.HasPrefix(o.Issuer, "$"):
		return here.Errf("parsing oidc: %q is not expanded: write '{%s}'", o.Issuer, o.Issuer)
	case !strings.ContainsAny(o.Issuer, ".:/{"):
		return here.Errf("parsing oidc: %q is not the URL of an issuer: write one such as https://login.example.com; "+
			"a preset is written in the block, such as 'preset google_iap'", o.Issuer)
	}
	if err := option.Unexpanded(option.CheckSecureURL)(o.Issuer); err != nil {
		return here.Errf("parsing oidc: %v", err)
	}
	return nil
}

func (o *OIDC) options() option.Options {
	return option.Options{
		"audience":                option.List(&o.Audience, option.Each(option.NotEmpty)),
		"authorized_party":        option.List(&o.AuthorizedParty, option.Each(option.NotEmpty)),
		"token_header":            o.parseTokenHeader,
		"discovery_url":           option.Word(&o.DiscoveryURL, option.CheckSecureURL),
		"max_token_size":          o.parseMaxTokenSize,
		"certificate_bound":       o.boundOption(),
		"jwks_url":                option.Word(&o.JWKSURL, option.CheckSecureURL),
		"jwks_file":               option.Word(&o.JWKSFile, option.NotEmpty),
		"username_claim":          claimAndPrefix(&o.UsernameClaim, &o.UsernamePrefix),
		"email_verified_optional": option.Flag(&o.EmailVerifiedOptional),
		"groups_claim":            claimAndPrefix(&o.GroupsClaim, &o.GroupsPrefix),
		"uid_claim":               option.Word(&o.UIDClaim, checkClaim),
		"required_claim":          o.parseRequiredClaim,
		"signing_algs":            option.List(&o.SigningAlgs, option.Each(option.OneOf(oidc.Algorithms()))),
		"clock_skew":              clockSkew(&o.ClockSkew),
		"trust_pool":              trustpool.Option(&o.TrustPoolRaw),
		"groups_from":             o.parseGroupsFrom,
		"login":                   o.parseLogin,
	}
}

// fill takes from a preset the options that the block does not have.
func (o *OIDC) fill(preset OIDC) {
	if o.TokenHeader == nil {
		o.TokenHeader = preset.TokenHeader
	}
	if o.DiscoveryURL == "" && o.JWKSURL == "" && o.JWKSFile == "" {
		o.JWKSURL = presetURL(preset.JWKSURL, o.Issuer)
	}
	if o.UsernameClaim == "" {
		o.UsernameClaim = preset.UsernameClaim
	}
	if o.UsernameClaim == preset.UsernameClaim { // perhaps with a prefix
		o.EmailVerifiedOptional = o.EmailVerifiedOptional || preset.EmailVerifiedOptional
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = preset.GroupsClaim
	}
	if o.SigningAlgs == nil {
		o.SigningAlgs = preset.SigningAlgs
	}
}

// presetURL puts the issuer into a URL. Pomerium's issuer is a host alone.
func presetURL(template, issuer string) string {
	if !strings.Contains(issuer, "://") {
		issuer = "https://" + issuer
	}
	return strings.ReplaceAll(template, "<issuer>", strings.TrimSuffix(issuer, "/"))
}

// Interface guards
var _ caddyfile.Unmarshaler = (*OIDC)(nil)
