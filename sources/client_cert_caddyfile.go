// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// clientCertPresets are the fields in which well-known proxies and load balancers pass on
// a certificate, as their documentation has them. If it leaves the name to the operator,
// the name is that of their examples. A preset exists only in the Caddyfile: it expands into
// the explicit options.
func clientCertPresets() map[string]ClientCert {
	nginx := ClientCert{
		Header: "Ssl-Client-Cert", Encoding: "url_pem", LeafOnly: true,
		VerifyHeader: "Ssl-Client-Verify", VerifyValue: "SUCCESS",
	}
	return map[string]ClientCert{
		"aws_alb":        {Header: "X-Amzn-Mtls-Clientcert", Encoding: "url_pem"},
		"aws_alb_verify": {Header: "X-Amzn-Mtls-Clientcert-Leaf", Encoding: "url_pem", LeafOnly: true},
		"cloudfront":     {Header: "CloudFront-Viewer-Cert-Pem", Encoding: "url_pem", LeafOnly: true},
		"nginx":          nginx,
		"ingress_nginx":  nginx,
		"haproxy": {
			Header: "X-SSL-Client-DER", Encoding: "base64_der", LeafOnly: true, ChainHeader: "X-SSL-Client-Chain-DER",
			VerifyHeader: "X-SSL-Client-Verify", VerifyValue: "0",
		},
		"apache": {
			Header: "X-SSL-Client-Cert", Encoding: "pem", LeafOnly: true,
			VerifyHeader: "X-SSL-Client-Verify", VerifyValue: "SUCCESS",
		},
		"traefik":           {Header: "X-Forwarded-Tls-Client-Cert", Encoding: "base64_der"},
		"envoy":             {Header: "X-Forwarded-Client-Cert", Encoding: "xfcc"},
		"rfc9440":           {Header: "Client-Cert", Encoding: "rfc9440", ChainHeader: "Client-Cert-Chain"},
		"cloudflare":        {Header: "Cf-Client-Cert-Der-Base64", Encoding: "base64_der", LeafOnly: true},
		"azure_app_service": {Header: "X-ARR-ClientCert", Encoding: "base64_der", LeafOnly: true},
		"azure_app_gateway": {
			Header: "X-Client-Cert", Encoding: "url_pem", LeafOnly: true,
			VerifyHeader: "X-Client-Cert-Verification", VerifyValue: "SUCCESS",
		},
		"openshift_router": {
			Header: "X-SSL-Client-DER", Encoding: "base64_der", LeafOnly: true,
			VerifyHeader: "X-SSL-Client-Verify", VerifyValue: "0",
		},
		"kong":  {Header: "X-Client-Cert", Encoding: "url_pem"},
		"caddy": {Header: "X-Client-Cert", Encoding: "base64_der", LeafOnly: true},
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	client_cert [<preset>|tls] {
//		header        <field>
//		encoding      url_pem|pem|base64_der|rfc9440|xfcc
//		leaf_only
//		chain_header  <field>
//		verify_header <field> <value>
//		trust_pool    <ca_pool_module> ...
//		trust_domain  <name> <ca_pool_module> ...
//		allow_partial_chain
//		username      common_name|subject|dns|email|uri|spiffe|upn|serial|fingerprint|public_key...
//		groups        organization|organizational_unit...
//		user_prefix   <prefix>
//		group_prefix  <prefix>
//		allowed_names <name>...
//		map           <name> <user> [<group>...] {
//			issuer <sha256_fingerprint>
//		}
//		map_only
//		default_user  <user> [<group>...]
//		max_intermediates <n>
//		revocation {
//			mode          off|soft_fail|strict
//			crl           <file_or_url>...
//			ocsp          [<responder_url>]
//			allowed_hosts <host>...
//			timeout       <duration>
//		}
//		cache_ttl     <duration>
//	}
//
// The presets are those of the table in the manual. An option in the block replaces the
// preset's value. map and trust_domain may appear more than once.
func (c *ClientCert) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		preset, ok := clientCertPresets()[d.Val()]
		switch {
		case ok:
			*c = preset
		case d.Val() == "tls":
			c.TLS = true
		default:
			return option.UnknownPreset(d, "client_cert", clientCertPresets())
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, c.options(), "map", "trust_domain")
}

func (c *ClientCert) options() option.Options {
	return option.Options{
		"header":              option.Word(&c.Header, option.CheckFieldName),
		"encoding":            option.Word(&c.Encoding, checkEncoding),
		"leaf_only":           option.Flag(&c.LeafOnly),
		"chain_header":        option.Word(&c.ChainHeader, option.CheckFieldName),
		"verify_header":       c.parseVerifyHeader,
		"trust_pool":          trustpool.Option(&c.TrustPoolRaw),
		"trust_domain":        c.parseTrustDomain,
		"allow_partial_chain": option.Flag(&c.AllowPartialChain),
		"username":            option.List(&c.Username, option.Each(option.OneOf(certauth.UsernameAttributes()))),
		"groups":              option.List(&c.Groups, option.Each(option.OneOf(certauth.GroupAttributes()))),
		"user_prefix":         option.Word(&c.UserPrefix, option.CheckPrefix),
		"group_prefix":        option.Word(&c.GroupPrefix, option.CheckPrefix),
		"allowed_names":       option.List(&c.AllowedNames, option.Each(option.NotEmpty)),
		"map":                 c.parseMap,
		"map_only":            option.Flag(&c.MapOnly),
		"default_user": func(d *caddyfile.Dispenser) error {
			var args []string
			if err := option.List(&args, option.Each(option.NotEmpty))(d); err != nil {
				return err
			}
			c.DefaultUser = &CertUser{User: args[0], UserGroups: args[1:]}
			return nil
		},
		"max_intermediates": option.Number(&c.MaxIntermediates),
		"revocation":        c.parseRevocation,
		"cache_ttl":         option.Duration(&c.CacheTTL),
	}
}

func (c *ClientCert) parseVerifyHeader(d *caddyfile.Dispenser) error {
	var args []string
	if err := option.List(&args, option.Each(option.NotEmpty))(d); err != nil {
		return err
	}
	if len(args) != 2 {
		return d.ArgErr()
	}
	if err := option.Unexpanded(option.CheckFieldName)(args[0]); err != nil {
		return d.Errf("parsing verify_header: %v", err)
	}
	c.VerifyHeader, c.VerifyValue = args[0], args[1]
	return nil
}

func (c *ClientCert) parseMap(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.ArgErr()
	}
	if err := option.Each(option.NotEmpty)(args); err != nil {
		return d.Errf("parsing map: %v", err)
	}
	entry := CertMapping{Name: args[0], CertUser: CertUser{User: args[1], UserGroups: args[2:]}}
	err := option.Block(d, option.Options{"issuer": option.Word(&entry.Issuer, checkFingerprint)})
	c.Map = append(c.Map, entry)
	return err
}

func (c *ClientCert) parseRevocation(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	r := new(CertRevocation)
	c.Revocation = r
	return option.Block(d, option.Options{
		"mode": option.Word(&r.Mode, option.OneOf([]certauth.Mode{certauth.ModeOff, certauth.ModeSoftFail, certauth.ModeStrict})),
		"crl":  option.List(&r.CRL, option.Each(option.NotEmpty)),
		"ocsp": func(d *caddyfile.Dispenser) error {
			r.OCSP = new(CertOCSP)
			args := d.RemainingArgs()
			if len(args) > 1 {
				return d.ArgErr()
			}
			if len(args) == 1 {
				r.OCSP.Responder = args[0]
			}
			return option.NoBlock(d)
		},
		"allowed_hosts": option.List(&r.AllowedHosts, option.Each(option.NotEmpty)),
		"timeout":       option.Duration(&r.Timeout),
	})
}

func checkEncoding(s string) error {
	return option.OneOf([]certauth.Encoding{
		certauth.URLPEM, certauth.PEM, certauth.Base64DER, certauth.RFC9440, certauth.XFCC,
	})(s)
}

func checkFingerprint(s string) error {
	if sum, err := hex.DecodeString(s); err != nil || len(sum) != 32 || s != strings.ToLower(s) {
		return errors.New("a fingerprint is 64 hexadecimal digits in lower case: write the SHA-256 of the CA's certificate as DER, without colons")
	}
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*ClientCert)(nil)
