// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Validate refuses settings that could not verify a token, or that could be meant in two
// ways.
func (o *OIDC) Validate() error {
	errs := []error{o.checkTogether()}
	for _, wrong := range []struct {
		is   bool
		text string
	}{
		{slices.Contains(o.Audience, ""), "an audience is empty"},
		{slices.Contains(o.AuthorizedParty, ""), "an authorized_party is empty: it would be that of a token without azp"},
		{*o.ClockSkew < 0, "clock_skew is less than zero"},
	} {
		if wrong.is {
			errs = append(errs, errors.New(wrong.text))
		}
	}
	errs = append(errs,
		o.validateBearer(),
		o.validateBound(),
		option.Each(option.OneOf(oidc.Algorithms()))(o.SigningAlgs),
		o.validateClaims(),
	)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("oidc %s: %w", o.Issuer, err)
	}
	return nil
}

// checkIssuer refuses an empty issuer, and one that is not a URL if discovery needs it.
func (o *OIDC) checkIssuer() error {
	switch {
	case o.Issuer == "":
		return errors.New("oidc: there is no issuer")
	case o.DiscoveryURL != "" || o.JWKSURL != "" || o.JWKSFile != "":
		return nil
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return fmt.Errorf("oidc %s: the issuer is not a URL without query and fragment, as discovery needs it: "+
			"there may be a discovery_url or jwks_url instead", o.Issuer)
	}
	return nil
}
