// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// ClaimOptions say which claims name the user. Their words and defaults are those of
// kube-apiserver's flags --oidc-*.
type ClaimOptions struct {
	// UsernameClaim is the claim with the user's name. As "email", at any depth, it needs
	// "email_verified: true" beside it, and exactly one "@". Default: "sub".
	UsernameClaim string `json:"username_claim,omitempty"`

	// UsernamePrefix is put before the name, so that two issuers cannot name the same user; "-"
	// means none. Default: the issuer and "#"; none for the claim "email".
	UsernamePrefix string `json:"username_prefix,omitempty"`

	// EmailVerifiedOptional accepts a token without email_verified, as kube-apiserver does. Use
	// it only if the issuer verifies every email. It is refused unless UsernameClaim is "email".
	// Default: such a token is refused.
	EmailVerifiedOptional bool `json:"email_verified_optional,omitempty"`

	// GroupsClaim is the claim with the groups: a string, or a list of strings. It may be absent
	// from a token; the log says once if the first good token does not have it, since a wrong
	// name leaves all users without groups. Default: no groups.
	GroupsClaim string `json:"groups_claim,omitempty"`

	// GroupsPrefix is put before each group. It is refused without GroupsClaim. Default: none.
	GroupsPrefix string `json:"groups_prefix,omitempty"`

	// UIDClaim is a claim with an identifier that is never given to another user. Default: none.
	UIDClaim string `json:"uid_claim,omitempty"`

	// RequiredClaims are claims that must be present with exactly these strings. Neither a claim
	// nor its string may be empty. The option may appear more than once. Default: none.
	RequiredClaims map[string]string `json:"required_claims,omitempty"`
}

// setClaimDefaults fills in what is not said.
func (c *ClaimOptions) setClaimDefaults() {
	if c.UsernameClaim == "" {
		c.UsernameClaim = "sub"
	}
}

// mapping is what the options say of claims. The prefix is kube-apiserver's: with it two
// issuers cannot name the same user (CVE-2025-41115).
func (c *ClaimOptions) mapping(issuer string, watch *oidc.GroupsWatch) *oidc.Mapping {
	prefix := c.UsernamePrefix
	switch {
	case prefix == "-":
		prefix = ""
	case prefix == "" && !oidc.Claim(c.UsernameClaim).IsEmail():
		prefix = issuer + "#"
	}
	m := &oidc.Mapping{
		Username:              oidc.Claim(c.UsernameClaim),
		UsernamePrefix:        prefix,
		Groups:                oidc.Claim(c.GroupsClaim),
		GroupsPrefix:          c.GroupsPrefix,
		GroupsWatch:           watch,
		UID:                   oidc.Claim(c.UIDClaim),
		EmailVerifiedOptional: c.EmailVerifiedOptional,
	}
	if m.GroupsPrefix == "-" {
		m.GroupsPrefix = ""
	}
	for claim, value := range c.RequiredClaims {
		m.Required = append(m.Required, oidc.RequiredClaim{Claim: oidc.Claim(claim), Value: value})
	}
	slices.SortFunc(m.Required, func(a, b oidc.RequiredClaim) int { return cmp.Compare(a.Claim, b.Claim) })
	return m
}

// validateClaims refuses JSON Pointers that no token can fit, and options without a use.
func (c *ClaimOptions) validateClaims() error {
	claims := map[string]string{"username_claim": c.UsernameClaim, "groups_claim": c.GroupsClaim, "uid_claim": c.UIDClaim}
	for claim := range c.RequiredClaims {
		claims["required_claim "+claim] = claim
	}
	var errs []error
	for _, wrong := range []struct {
		is   bool
		text string
	}{
		{hasEmpty(c.RequiredClaims), "a required claim is empty, or its value is"},
		{c.EmailVerifiedOptional && !oidc.Claim(c.UsernameClaim).IsEmail(), "email_verified_optional has no use without username_claim email"},
		{c.GroupsPrefix != "" && c.GroupsClaim == "", "groups_prefix has no use without groups_claim"},
	} {
		if wrong.is {
			errs = append(errs, errors.New(wrong.text))
		}
	}
	for _, option := range slices.Sorted(maps.Keys(claims)) {
		if claim := claims[option]; claim != "" {
			if err := checkClaim(claim); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", option, err))
			}
		}
	}
	return errors.Join(append(errs, checkClaimPrefix(c.UsernamePrefix), checkClaimPrefix(c.GroupsPrefix))...)
}

func hasEmpty(claims map[string]string) bool {
	for claim, value := range claims {
		if claim == "" || value == "" {
			return true
		}
	}
	return false
}

// claimAndPrefix parses an option with a claim and an optional prefix.
func claimAndPrefix(claim, prefix *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		word := d.Val()
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.ArgErr()
		}
		if err := checkClaim(args[0]); err != nil {
			return d.Errf("parsing %s: %v", word, err)
		}
		*claim = args[0]
		if len(args) == 2 {
			if err := option.Unexpanded(checkClaimPrefix)(args[1]); err != nil {
				return d.Errf("parsing %s: %v", word, err)
			}
			*prefix = args[1]
		}
		return option.NoBlock(d)
	}
}

func checkClaim(claim string) error { return oidc.Claim(claim).Check() }

// checkClaimPrefix accepts "-", which means none, besides what option.CheckPrefix accepts.
func checkClaimPrefix(prefix string) error {
	if prefix == "-" {
		return nil
	}
	return option.CheckPrefix(prefix)
}

func (c *ClaimOptions) parseRequiredClaim(d *caddyfile.Dispenser) error {
	var args []string
	if err := option.List(&args, option.Each(option.NotEmpty))(d); err != nil {
		return err
	}
	if len(args) != 2 {
		return d.ArgErr()
	}
	if err := checkClaim(args[0]); err != nil {
		return d.Errf("parsing required_claim: %v", err)
	}
	if _, there := c.RequiredClaims[args[0]]; there {
		return d.Errf("parsing required_claim: %s is required twice", args[0])
	}
	if c.RequiredClaims == nil {
		c.RequiredClaims = make(map[string]string)
	}
	c.RequiredClaims[args[0]] = args[1]
	return nil
}

// clockSkew parses that option. It differs from option.Duration in that zero is a duration like others here.
func clockSkew(value **caddy.Duration) option.Parser {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		parsed, err := option.ParseDuration(text)
		if err != nil {
			return d.Errf("parsing clock_skew: %v", err)
		}
		if parsed < 0 {
			return d.Errf("parsing clock_skew: %s is less than zero", text)
		}
		skew := caddy.Duration(parsed)
		*value = &skew
		return option.NoBlock(d)
	}
}
