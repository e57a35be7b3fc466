// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// compile records an error and returns nil. Parse then returns no Config.
func (v *validator) compile(env *cel.Env, path *field.Path, text string, want *cel.Type) *expression {
	e, err := compile(env, path.String(), text, want)
	if err != nil {
		v.invalid(path, text, err.Error())
	}
	return e
}

func (v *validator) claimRules(root *field.Path, rules []claimRule, m *mapper) {
	claims, expressions := make(map[string]bool), make(map[string]bool)
	for i := range rules {
		path, r := root.Index(i), &rules[i]
		switch {
		case r.Claim != "" && r.Expression != "":
			v.invalid(path, r.Claim, "claim and expression can't both be set")
		case r.Claim == "" && r.Expression == "":
			v.required(path, "claim or expression is required")
		case r.Claim != "":
			if r.Message != "" {
				v.invalid(path.Child("message"), r.Message, "may not be specified when claim is set")
			}
			if claims[r.Claim] {
				v.duplicate(path.Child("claim"), r.Claim)
			}
			claims[r.Claim] = true
			m.required = append(m.required, requirement{path: path.String(), claim: r.Claim, value: r.RequiredValue})
		default:
			if r.RequiredValue != "" {
				v.invalid(path.Child("requiredValue"), r.RequiredValue, "may not be specified when expression is set")
			}
			if expressions[r.Expression] {
				v.duplicate(path.Child("expression"), r.Expression)
				continue
			}
			expressions[r.Expression] = true
			m.claimRules = append(m.claimRules, rule{
				expression: v.compile(v.environments.claims, path.Child("expression"), r.Expression, cel.BoolType),
				message:    r.Message,
			})
		}
	}
}

func (v *validator) userRules(root *field.Path, rules []userRule, m *mapper) {
	expressions := make(map[string]bool)
	for i, r := range rules {
		path := root.Index(i).Child("expression")
		switch {
		case r.Expression == "":
			v.required(path, "")
		case expressions[r.Expression]:
			v.duplicate(path, r.Expression)
		default:
			expressions[r.Expression] = true
			m.userRules = append(m.userRules, rule{
				expression: v.compile(v.environments.user, path, r.Expression, cel.BoolType),
				message:    r.Message,
			})
		}
	}
}

func (v *validator) mappings(path *field.Path, from *mappings, m *mapper) {
	if from.Username.Claim == "" && from.Username.Expression == "" {
		v.required(path.Child("username"), "claim or expression is required")
	}
	m.username = v.prefixed(path.Child("username"), &from.Username)
	m.groups = v.prefixed(path.Child("groups"), &from.Groups)
	m.uid = v.attribute(path.Child("uid"), from.UID.Claim, from.UID.Expression)
	v.extra(path.Child("extra"), from.Extra, m)
	v.email(path.Child("username", "expression"), from.Username.Expression, m)
}

func (v *validator) prefixed(path *field.Path, from *prefixed) attribute {
	made := v.attribute(path, from.Claim, from.Expression)
	switch {
	case from.Claim != "" && from.Expression != "":
	case from.Claim != "" && from.Prefix == nil:
		v.required(path.Child("prefix"), "prefix is required when claim is set. It can be set to an empty string to disable prefixing")
	case from.Expression != "" && from.Prefix != nil:
		v.invalid(path.Child("prefix"), *from.Prefix, "may not be specified when expression is set")
	case from.Prefix != nil:
		made.prefix = *from.Prefix
	}
	return made
}

func (v *validator) attribute(path *field.Path, claim, expression string) attribute {
	switch {
	case claim != "" && expression != "":
		v.invalid(path, "", "claim and expression can't both be set")
	case expression != "":
		return attribute{expression: v.compile(v.environments.claims, path.Child("expression"), expression, nil)}
	case claim != "":
		return attribute{path: path.Child("claim").String(), claim: claim}
	}
	return attribute{}
}

func (v *validator) extra(root *field.Path, entries []extraMapping, m *mapper) {
	keys := make(map[string]bool)
	for i, e := range entries {
		path := root.Index(i).Child("key")
		v.errs = append(v.errs, validation.IsDomainPrefixedPath(path, e.Key)...)
		if e.Key != strings.ToLower(e.Key) {
			v.invalid(path, e.Key, "must be lowercase")
		}
		if isKubernetesDomain(e.Key) {
			v.invalid(path, e.Key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use")
		}
		if keys[e.Key] {
			v.duplicate(path, e.Key)
			continue
		}
		keys[e.Key] = true
		value := root.Index(i).Child("valueExpression")
		if e.ValueExpression == "" {
			v.required(value, "")
			continue
		}
		m.extra = append(m.extra, extra{
			key:        e.Key,
			expression: v.compile(v.environments.claims, value, e.ValueExpression, nil),
		})
	}
}

// isKubernetesDomain says whether the domain of a key belongs to Kubernetes, so that a token
// cannot say which object a service account is bound to, or which credential this is.
func isKubernetesDomain(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	domain = "." + domain
	return found && (strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io"))
}

// email refuses an expression that maps emails to users without checking that they are
// verified: with many issuers every user can enter any address.
func (v *validator) email(path *field.Path, text string, m *mapper) {
	if m.username.expression == nil || !m.username.expression.uses("email") {
		return
	}
	asking := []*expression{m.username.expression}
	for _, r := range m.claimRules {
		asking = append(asking, r.expression)
	}
	for _, e := range m.extra {
		asking = append(asking, e.expression)
	}
	if !slices.ContainsFunc(asking, func(e *expression) bool { return e != nil && e.uses("email_verified") }) {
		v.invalid(path, text, "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression")
	}
}
