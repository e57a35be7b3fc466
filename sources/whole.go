// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// CheckWhole implements [option.Whole].
func (o *OIDC) CheckWhole() error {
	if err := errors.Join(o.checkTogether(), o.checkLoginWhole(), o.checkGroupsWhole()); err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	return nil
}

// checkTogether refuses settings that could not verify a token, or that could be meant in two
// ways. The audience of a login is its client.
func (o *OIDC) checkTogether() error {
	var errs []error
	for _, wrong := range []struct {
		is   bool
		text string
	}{
		{
			len(o.Audience) == 0 && o.LoginBlock == nil,
			"there is no audience: a token that was issued to any other application would be accepted; write 'audience <client_id>'",
		},
		{o.JWKSURL != "" && o.JWKSFile != "", "there are both jwks_url and jwks_file: keep one of the two"},
		{o.DiscoveryURL != "" && o.JWKSFile != "", "there are both discovery_url and jwks_file: keep one of the two"},
		{o.DiscoveryURL != "" && o.JWKSURL != "", "there are both discovery_url and jwks_url: keep one of the two"},
		{(o.hasPool || o.TrustPoolRaw != nil) && o.JWKSFile != "", "trust_pool has no use beside jwks_file: remove it"},
	} {
		if wrong.is {
			errs = append(errs, errors.New(wrong.text))
		}
	}
	return errors.Join(errs...)
}

func (o *OIDC) checkLoginWhole() error {
	switch {
	case o.LoginBlock == nil:
		return nil
	case o.LoginBlock.ClientID == "":
		return errors.New("login: there is no client_id: write the name by which the issuer knows this proxy")
	}
	if err := o.LoginBlock.checkAuthWhole(); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	return nil
}

func (o *OIDC) checkGroupsWhole() error {
	switch {
	case o.GroupsFrom == nil:
		return nil
	case o.GroupsFrom.MicrosoftGraph == nil:
		return errors.New("groups_from: there is no microsoft_graph")
	case o.GroupsClaim != "groups" && !option.HasPlaceholder(o.GroupsClaim):
		return errors.New("groups_from: microsoft_graph needs the claim that Entra ID leaves out: write 'groups_claim groups'")
	}
	m := o.GroupsFrom.MicrosoftGraph
	switch {
	case m.ClientID == "":
		return errors.New("groups_from: there is no client_id: write that of the application in Entra ID")
	case m.ClientSecretFile == "" && m.ClientAuthFile == "":
		return errors.New("groups_from: there is neither a client_secret_file nor a client_auth with a file: write one of the two")
	}
	if err := m.checkAuthWhole(); err != nil {
		return fmt.Errorf("groups_from: %w", err)
	}
	return nil
}

// CheckWhole implements [option.Whole].
func (i *Introspection) CheckWhole() error {
	err := i.checkPresent()
	if err == nil {
		err = i.checkAuthWhole()
	}
	if err != nil {
		return fmt.Errorf("introspection %s: %w", i.URL, err)
	}
	return nil
}

// checkPresent refuses settings without which no token could be introspected, or every
// application's token would be accepted.
func (i *Introspection) checkPresent() error {
	switch {
	case i.Issuer == "":
		return errors.New("there is no issuer: the answer's iss has to be compared with it; write 'issuer <issuer>'")
	case len(i.Audience) == 0:
		return errors.New("there is no audience: a token that was issued for any other application would be accepted; write 'audience <value>'")
	case i.ClientID == "":
		return errors.New("there is no client_id: write the name by which the server knows this proxy")
	}
	return nil
}

// CheckWhole implements [option.Whole].
func (f *Forwarded) CheckWhole() error {
	if len(f.User) == 0 {
		return errors.New("forwarded: there is no user, so no identity could be found: write a preset, such as 'forwarded oauth2_proxy', or 'user <field>'")
	}
	return nil
}

// CheckWhole implements [option.Whole].
func (p *Placeholder) CheckWhole() error {
	if p.User == "" {
		return errors.New("placeholder: there is no user, so no identity could be found: write 'user <placeholder>', such as 'user {http.auth.user.id}'")
	}
	return nil
}

// CheckTrusted refuses, before the source is provisioned, placeholders that neither
// authentication nor the operator vouches for.
func (p *Placeholder) CheckTrusted(trusted []string) error {
	early := *p
	early.trusted = trusted
	return early.checkTexts()
}

// CheckWhole implements [option.Whole].
func (c *ClientCert) CheckWhole() error {
	err := errors.Join(c.checkWhereFrom(), c.checkPools(), c.checkMapping(), c.checkAsked())
	if !slices.ContainsFunc(c.Username, option.HasPlaceholder) {
		err = errors.Join(err, c.checkSPIFFE())
	}
	if err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	return nil
}

// checkPools is for before the pools are loaded, which clears the fields.
func (c *ClientCert) checkPools() error {
	switch {
	case c.TrustPoolRaw == nil && len(c.TrustDomain) == 0:
		return errors.New("there is no trust_pool: name the CAs that issue the certificates, such as 'trust_pool file <path>'")
	case c.TrustPoolRaw != nil && len(c.TrustDomain) > 0:
		return errors.New("there are both trust_pool and trust_domain: the CAs of the pool would not be of any trust domain; keep one of the two")
	}
	return nil
}

// checkAsked refuses a revocation that asks nothing.
func (c *ClientCert) checkAsked() error {
	if r := c.Revocation; r != nil && r.Mode != string(certauth.ModeOff) && len(r.CRL) == 0 && r.OCSP == nil && !option.HasPlaceholder(r.Mode) {
		return errors.New("revocation: there is neither crl nor ocsp to ask: write 'crl <file_or_url>' or 'ocsp'")
	}
	return nil
}

// CheckWhole implements [option.Whole].
func (*AuthenticationConfig) CheckWhole() error { return nil }

// CheckWhole implements [option.Whole].
func (*TokenReview) CheckWhole() error { return nil }

// CheckWhole implements [option.Whole].
func (*Anonymous) CheckWhole() error { return nil }

// Interface guards
var (
	_ option.Whole = (*OIDC)(nil)
	_ option.Whole = (*Introspection)(nil)
	_ option.Whole = (*Forwarded)(nil)
	_ option.Whole = (*Placeholder)(nil)
	_ option.Whole = (*ClientCert)(nil)
	_ option.Whole = (*AuthenticationConfig)(nil)
	_ option.Whole = (*TokenReview)(nil)
	_ option.Whole = (*Anonymous)(nil)
)
