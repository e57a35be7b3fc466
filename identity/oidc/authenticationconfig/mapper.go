// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"context"
	"fmt"

	"cel.dev/cel-go/common/types"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// mapper maps claims to users by the rules of one entry.
type mapper struct {
	username, groups, uid attribute

	extra      []extra
	required   []requirement
	claimRules []rule
	userRules  []rule
}

var _ oidc.Mapper = (*mapper)(nil)

// attribute is made from a claim (path is its place in the file), or by an expression, or is
// empty.
type attribute struct {
	path, claim, prefix string

	expression *expression
}

type extra struct {
	key        string
	expression *expression
}

// requirement is a claim that must be a certain string.
type requirement struct{ path, claim, value string }

type rule struct {
	expression *expression
	message    string
}

// Map implements [oidc.Mapper], in the order of the API server.
func (m *mapper) Map(ctx context.Context, claims oidc.Claims) (identity.User, error) {
	in := binding{name: claimsVariable, value: newObject(claims)}
	var user identity.User
	var err error
	if user.Username, err = m.mapUsername(ctx, claims, in); err != nil {
		return identity.User{}, err
	}
	if user.Groups, err = m.mapGroups(ctx, claims, in); err != nil {
		return identity.User{}, err
	}
	if user.UID, err = m.uid.text(ctx, claims, in); err != nil {
		return identity.User{}, err
	}
	// display fields, and the id of the credential
	oidc.Describe(&user, claims, false)
	if err := m.mapExtra(ctx, in, &user); err != nil {
		return identity.User{}, err
	}
	if err := m.checkRequired(claims); err != nil {
		return identity.User{}, err
	}
	if err := check(ctx, m.claimRules, in); err != nil {
		return identity.User{}, err
	}
	if len(m.userRules) == 0 {
		return user, nil
	}
	if err := check(ctx, m.userRules, userOf(&user)); err != nil {
		return identity.User{}, err
	}
	return user, nil
}

// userOf is the user as rules see it. All four fields are always there.
func userOf(user *identity.User) binding {
	return binding{name: userVariable, value: newObject(map[string]any{
		"username": user.Username,
		"uid":      user.UID,
		"groups":   user.Groups,
		"extra":    user.Extra,
	})}
}

func (m *mapper) mapUsername(ctx context.Context, claims oidc.Claims, in binding) (string, error) {
	username, err := m.username.text(ctx, claims, in)
	if err != nil {
		return "", err
	}
	if username == "" {
		return "", fmt.Errorf("%w: %s: the username is empty", identity.ErrRejected, m.username.where())
	}
	if m.username.claim == "email" {
		if verified, there := claims["email_verified"]; there && verified != true {
			return "", fmt.Errorf("%w: %s: the email is not verified", identity.ErrRejected, m.username.path)
		}
	}
	return m.username.prefix + username, nil
}

func (m *mapper) mapGroups(ctx context.Context, claims oidc.Claims, in binding) ([]string, error) {
	if m.groups.expression != nil {
		value, err := m.groups.expression.eval(ctx, in)
		if err != nil {
			return nil, err
		}
		return m.groups.expression.list(value)
	}
	if oidc.Overage(claims, m.groups.claim) {
		return nil, fmt.Errorf("%w: %w", identity.ErrForbidden, oidc.ErrGroupOverage)
	}
	if m.groups.claim == "" {
		return nil, nil
	}
	var groups []string
	switch value := claims[m.groups.claim].(type) {
	case nil:
	case string:
		groups = []string{m.groups.prefix + value}
	case []any:
		for _, element := range value {
			group, ok := asText(element)
			if !ok {
				return nil, m.groups.wrong("a list of strings")
			}
			groups = append(groups, m.groups.prefix+group)
		}
	default:
		return nil, m.groups.wrong("a string or a list of strings")
	}
	return groups, nil
}

func (m *mapper) mapExtra(ctx context.Context, in binding, user *identity.User) error {
	for _, e := range m.extra {
		value, err := e.expression.eval(ctx, in)
		if err != nil {
			return err
		}
		values, err := e.expression.list(value)
		if err != nil {
			return err
		}
		if len(values) == 0 {
			continue
		}
		if user.Extra == nil {
			user.Extra = make(map[string][]string, len(m.extra))
		}
		user.Extra[e.key] = values
	}
	return nil
}

func (m *mapper) checkRequired(claims oidc.Claims) error {
	for _, r := range m.required {
		claim, there := claims[r.claim]
		if value, ok := asText(claim); !there || !ok || value != r.value {
			return fmt.Errorf("%w: %s: the claim %s is not the required value",
				identity.ErrRejected, r.path, identity.Quote(r.claim))
		}
	}
	return nil
}

// check says whether all rules hold.
func check(ctx context.Context, rules []rule, in binding) error {
	for _, r := range rules {
		value, err := r.expression.eval(ctx, in)
		switch {
		case err != nil:
			return err
		case value == types.True:
		case r.message != "":
			return fmt.Errorf("%w: %s: %s", identity.ErrRejected, r.expression.path, r.message)
		default:
			return fmt.Errorf("%w: %s: it is not true", identity.ErrRejected, r.expression.path)
		}
	}
	return nil
}

// text returns one string.
func (a *attribute) text(ctx context.Context, claims oidc.Claims, in binding) (string, error) {
	if a.expression != nil {
		value, err := a.expression.eval(ctx, in)
		if err != nil {
			return "", err
		}
		text, ok := value.(types.String)
		if !ok {
			return "", fmt.Errorf("%w: %s: the result is not a string", identity.ErrRejected, a.expression.path)
		}
		return string(text), nil
	}
	if a.claim == "" {
		return "", nil
	}
	claim, there := claims[a.claim]
	if !there {
		return "", fmt.Errorf("%w: %s: there is no claim %s", identity.ErrRejected, a.path, identity.Quote(a.claim))
	}
	text, ok := asText(claim)
	if !ok {
		return "", a.wrong("a string")
	}
	return text, nil
}

// asText returns the string that encoding/json decodes a value to: null is "".
func asText(value any) (text string, ok bool) {
	if value == nil {
		return "", true
	}
	text, ok = value.(string)
	return text, ok
}

func (a *attribute) wrong(want string) error {
	return fmt.Errorf("%w: %s: the claim %s is not %s", identity.ErrRejected, a.path, identity.Quote(a.claim), want)
}

func (a *attribute) where() string {
	if a.expression != nil {
		return a.expression.path
	}
	return a.path
}
