// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"crypto/x509"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// Config is the content of a file.
type Config struct {
	// Authenticators are in the order of the file, with different issuer URLs. There may be
	// none.
	Authenticators []Authenticator
}

// Authenticator is one entry of jwt.
type Authenticator struct {
	// IssuerURL is compared with the claim iss, byte for byte.
	IssuerURL string

	// DiscoveryURL is where the discovery document is, if it is not below IssuerURL; empty
	// otherwise. Use it unchanged.
	DiscoveryURL string

	// CertificateAuthority verifies the issuer's server. nil: the system's certificates.
	CertificateAuthority *x509.CertPool

	// Audiences are the accepted values of the claim aud, which must have one of them. At
	// least one.
	Audiences []string

	// Mapper applies claimMappings, claimValidationRules and userValidationRules. It is safe
	// for concurrent use. Besides [identity.ErrRejected] its errors wrap
	// [identity.ErrForbidden] with [oidc.ErrGroupOverage], and [identity.ErrUnavailable] when
	// the context ends first.
	Mapper oidc.Mapper
}

// configuration is the document. Both versions have the same fields; the comments say how
// they are used here.
type configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// JWT: 1 to 64 authenticators, each with a different issuer.
	JWT []entry `json:"jwt"`

	// Anonymous is about the API server itself: it is validated, but not used.
	Anonymous *anonymous `json:"anonymous"`
}

type anonymous struct {
	Enabled    bool                 `json:"enabled"`
	Conditions []anonymousCondition `json:"conditions"`
}

type anonymousCondition struct {
	Path string `json:"path"`
}

// entry is one JWT authenticator.
type entry struct {
	Issuer issuer `json:"issuer"`

	// ClaimValidationRules must all hold.
	ClaimValidationRules []claimRule `json:"claimValidationRules"`

	ClaimMappings mappings `json:"claimMappings"`

	// UserValidationRules must all hold for the user that the mappings made.
	UserValidationRules []userRule `json:"userValidationRules"`
}

type issuer struct {
	// URL: https, without user, query and fragment.
	URL string `json:"url"`

	// DiscoveryURL: as URL, but different from it.
	DiscoveryURL string `json:"discoveryURL"`

	// CertificateAuthority: certificates in PEM. Default: the system's.
	CertificateAuthority string `json:"certificateAuthority"`

	// Audiences: at least one, none of them twice or empty.
	Audiences []string `json:"audiences"`

	// AudienceMatchPolicy: MatchAny, or nothing when there is one audience.
	AudienceMatchPolicy string `json:"audienceMatchPolicy"`

	// EgressSelectorType: any value is refused.
	EgressSelectorType string `json:"egressSelectorType"`
}

// claimRule has a claim or an expression.
type claimRule struct {
	// Claim must be there and be the string RequiredValue.
	Claim         string `json:"claim"`
	RequiredValue string `json:"requiredValue"`

	// Expression must be true for the claims; Message is logged when it is not.
	Expression string `json:"expression"`
	Message    string `json:"message"`
}

type userRule struct {
	// Expression must be true for user, which has username, uid, groups and extra.
	Expression string `json:"expression"`
	Message    string `json:"message"`
}

type mappings struct {
	// Username: a string that is not empty. An expression that uses claims.email must also use
	// claims.email_verified, here, in extra or in a validation rule. With the claim email,
	// this package checks email_verified itself.
	Username prefixed `json:"username"`

	// Groups: a string or a list of strings. Default: none.
	Groups prefixed `json:"groups"`

	// UID: a string. Default: none.
	UID claimOrExpression `json:"uid"`

	// Extra: keys are paths below a domain, in lower case and not in a domain of Kubernetes.
	Extra []extraMapping `json:"extra"`
}

// prefixed has a claim and a prefix, which may be the empty string, or an expression.
type prefixed struct {
	Claim      string  `json:"claim"`
	Prefix     *string `json:"prefix"`
	Expression string  `json:"expression"`
}

type claimOrExpression struct {
	Claim      string `json:"claim"`
	Expression string `json:"expression"`
}

type extraMapping struct {
	Key             string `json:"key"`
	ValueExpression string `json:"valueExpression"`
}
