// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// ErrGroupOverage says that the issuer left the groups out of the token because there are
// too many, and put a URL for them into it: Entra ID does so above 200 groups. Such URLs are
// never visited, since the token would choose where the proxy's request goes. The remedy is
// fewer groups: assign only the application's groups, or use app roles.
var ErrGroupOverage = errors.New("the issuer left out the groups, there are too many of them (group overage)")

// Overage says whether the groups that are expected in claim were left out.
func Overage(claims Claims, claim string) bool {
	return claim != "" && claims[claim] == nil && leftOut(claims, claim)
}

// leftOut says whether the issuer left out a claim of that name, or groups of any name.
func leftOut(claims Claims, name string) bool {
	if names, ok := claims["_claim_names"].(map[string]any); ok {
		if _, named := names[name]; named {
			return true
		}
	}
	has := claims["hasgroups"]
	return has != nil && has != false
}

// Mapping is the [Mapper] with the rules of kube-apiserver's flags --oidc-*. It is stricter
// with email addresses.
type Mapping struct {
	// Username is the claim with the user's name: a string that is not empty. UsernamePrefix
	// is put before the name.
	Username       Claim
	UsernamePrefix string

	// Groups is the claim with the groups, a string or a list of strings; a token may lack it.
	// GroupsPrefix is put before each group. An empty claim means no groups.
	Groups       Claim
	GroupsPrefix string

	// GroupsWatch may be nil.
	GroupsWatch *GroupsWatch

	// UID is the claim with an identifier that is never reused: a string. Empty: no UID.
	UID Claim

	// Required are claims, each with the string that it must be.
	Required []RequiredClaim

	// EmailVerifiedOptional accepts an email as the user's name (see [Claim.IsEmail]) even if
	// the token lacks email_verified, as kube-apiserver does. Without this option the
	// email_verified beside the email must be true. A false one is refused in any case.
	EmailVerifiedOptional bool
}

// RequiredClaim is a claim that must be there with exactly this value.
type RequiredClaim struct {
	Claim Claim
	Value string
}

// Map implements [Mapper].
func (m *Mapping) Map(_ context.Context, claims Claims) (identity.User, error) {
	for _, required := range m.Required {
		found, _ := required.Claim.in(claims)
		if value, ok := found.(string); !ok || value != required.Value {
			return identity.User{}, fmt.Errorf("%w: the claim %s is not the required value",
				identity.ErrRejected, identity.Quote(string(required.Claim)))
		}
	}
	username, err := m.username(claims)
	if err != nil {
		return identity.User{}, err
	}
	user := identity.User{Username: m.UsernamePrefix + username}
	if user.Groups, err = m.groups(claims); err != nil {
		return identity.User{}, err
	}
	if m.UID != "" {
		if user.UID, err = text(claims, m.UID); err != nil {
			return identity.User{}, err
		}
	}
	Describe(&user, claims, m.EmailVerifiedOptional)
	m.GroupsWatch.saw(m.Groups, claims)
	return user, nil
}

func (m *Mapping) username(claims Claims) (string, error) {
	username, err := text(claims, m.Username)
	if err != nil || !m.Username.IsEmail() {
		return username, err
	}
	verified, there := m.Username.beside("email_verified").in(claims)
	switch {
	case !there && !m.EmailVerifiedOptional:
		return "", fmt.Errorf("%w: the token does not say that the email is verified", identity.ErrRejected)
	case there && verified != true:
		return "", fmt.Errorf("%w: the email is not verified", identity.ErrRejected)
	case strings.Count(username, "@") != 1:
		// "alice@a@b": two readers may each see another domain (CVE-2026-40574)
		return "", fmt.Errorf("%w: the email does not have exactly one @", identity.ErrRejected)
	}
	return username, nil
}

func (m *Mapping) groups(claims Claims) ([]string, error) {
	if m.Groups == "" {
		return nil, nil
	}
	found, _ := m.Groups.in(claims)
	if found == nil && leftOut(claims, m.Groups.first()) {
		return nil, fmt.Errorf("%w: %w", identity.ErrForbidden, ErrGroupOverage)
	}
	var groups []string
	switch value := found.(type) {
	case nil:
		return nil, nil
	case string:
		groups = []string{value}
	case []any:
		groups = make([]string, 0, len(value))
		for _, element := range value {
			group, ok := element.(string)
			if !ok {
				return nil, wrongType(string(m.Groups), "a list of strings")
			}
			groups = append(groups, group)
		}
	default:
		return nil, wrongType(string(m.Groups), "a string or a list of strings")
	}
	return groups, Prefix(groups, m.GroupsPrefix)
}

// Prefix puts the prefix before each group. Without a look at an empty one it would become a group
// that is the prefix, which the pattern "prefix*" of a policy means too.
func Prefix(groups []string, prefix string) error {
	for n, group := range groups {
		if group == "" {
			return fmt.Errorf("%w: a group is empty", identity.ErrForbidden)
		}
		groups[n] = prefix + group
	}
	return nil
}

// Describe adds fields that authorize nothing: email, name and preferred_username for
// display, and the extra that identifies the token in an audit log. An email that is not
// verified is left out.
func Describe(user *identity.User, claims Claims, emailVerifiedOptional bool) {
	user.Name, _ = claims["name"].(string)
	user.PreferredUsername, _ = claims["preferred_username"].(string)
	verified, there := claims["email_verified"]
	if verified == true || !there && emailVerifiedOptional {
		user.Email, _ = claims["email"].(string)
	}
	if jti, ok := claims["jti"].(string); ok && jti != "" {
		if user.Extra == nil {
			user.Extra = make(map[string][]string, 1)
		}
		user.Extra[identity.CredentialID] = []string{"JTI=" + jti}
	}
}

// text returns a claim that must be a non-empty string.
func text(claims Claims, claim Claim) (string, error) {
	value, there := claim.in(claims)
	if !there {
		return "", fmt.Errorf("%w: there is no claim %s", identity.ErrRejected, identity.Quote(string(claim)))
	}
	s, ok := value.(string)
	if !ok || s == "" {
		return "", wrongType(string(claim), "a string, or is empty")
	}
	return s, nil
}

func wrongType(claim, want string) error {
	return fmt.Errorf("%w: the claim %s is not %s", identity.ErrRejected, identity.Quote(claim), want)
}
