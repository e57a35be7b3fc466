// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func (o *OIDC) parseLogin(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	l := new(OIDCLogin)
	o.LoginBlock = l
	return option.Block(d, option.Options{
		"client_id":          option.Word(&l.ClientID, option.NotEmpty),
		"client_secret_file": option.Word(&l.ClientSecretFile, option.CheckSecretFile),
		"client_auth":        l.parseAuth,
		"scopes":             option.List(&l.Scopes, option.Each(checkScope)),
		"parameter":          l.parseParameter,
		"redirect_url":       option.Word(&l.RedirectURL, checkRedirectURL),
		"response_mode":      option.Word(&l.ResponseMode, checkResponseMode),
		"name":               option.Word(&l.Name, guest.CheckLoginName),
		"authorization_url":  option.Word(&l.AuthorizationURL, option.CheckSecureURL),
		"token_url":          option.Word(&l.TokenURL, option.CheckSecureURL),
		"end_session_url":    option.Word(&l.EndSessionURL, option.CheckSecureURL),
		"revocation_url":     option.Word(&l.RevocationURL, option.CheckSecureURL),
		"refresh": option.Word(&l.Refresh, func(text string) error {
			_, _, err := parseRefresh(text)
			return err
		}),
	}, "parameter")
}

func (l *OIDCLogin) parseParameter(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if _, there := l.Parameter[name]; there {
		return d.Errf("parsing parameter: %s is there twice", name)
	}
	if l.Parameter == nil {
		l.Parameter = make(map[string]string)
	}
	l.Parameter[name] = value
	return option.NoBlock(d)
}

// checkScope refuses several scopes in one argument: the issuer would read a name that it does not
// have (RFC 6749, section 3.3).
func checkScope(scope string) error {
	if strings.ContainsAny(scope, " ,\t") {
		return fmt.Errorf("%q is not one scope: write each as an argument of its own, such as 'scopes email groups'", scope)
	}
	return option.NotEmpty(scope)
}
