// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"crypto/x509"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// Config is what a file says.
type Config struct {
	// Authenticators are in the order of the file; their issuers have different URLs.
	// There is at least one.
	Authenticators []Authenticator
}

// Authenticator is one entry of jwt.
type Authenticator struct {
	// IssuerURL is what the claim iss must be, byte for byte.
	IssuerURL string

	// DiscoveryURL is where the discovery document is, when it is not where the issuer's
	// URL says; empty otherwise. It is to be used as it stands.
	DiscoveryURL string

	// CertificateAuthority verifies the issuer's server. nil: the system's certificates.
	CertificateAuthority *x509.CertPool

	// Audiences are values of which the claim aud must have one. At least one.
	Audiences []string

	// Mapper does what claimMappings, claimValidationRules and userValidationRules say. It
	// is safe for concurrent use. Besides [identity.ErrRejected] its errors wrap
	// [identity.ErrForbidden] with [oidc.ErrGroupOverage], and [identity.ErrUnavailable] when
	// the context ends first.
	Mapper oidc.Mapper
}

// configuration is the document. Both versions have the same fields; the comments tell what
// is done with them here.
type configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// JWT: 1 to 64 authenticators, each with an issuer of its own.
	JWT []entry `json:"jwt"`

	// Anonymous is about the API server itself: validated, and not used.
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

	// DiscoveryURL: as URL, and another one.
	DiscoveryURL string `json:"discoveryURL"`

	// CertificateAuthority: certificates in PEM. Default: the system's.
	CertificateAuthority string `json:"certificateAuthority"`

	// Audiences: at least one, none of them twice or empty.
	Audiences []string `json:"audiences"`

	// AudienceMatchPolicy: MatchAny, or nothing when there is one audience.
	AudienceMatchPolicy string `json:"audienceMatchPolicy"`

	// EgressSelectorType: refused, whatever it is.
	EgressSelectorType string `json:"egressSelectorType"`
}

// claimRule has a claim or an expression.
type claimRule struct {
	// Claim must be there and be the string RequiredValue.
	Claim         string `json:"claim"`
	RequiredValue string `json:"requiredValue"`

	// Expression must be true of claims; Message is for the log when it is not.
	Expression string `json:"expression"`
	Message    string `json:"message"`
}

type userRule struct {
	// Expression must be true of user, which has username, uid, groups and extra.
	Expression string `json:"expression"`
	Message    string `json:"message"`
}

type mappings struct {
	// Username: a string that is not empty. That claims.email is used here asks for
	// claims.email_verified here, in extra or in a rule; of the claim email that is seen to.
	Username prefixed `json:"username"`

	// Groups: a string or a list of strings. Default: none.
	Groups prefixed `json:"groups"`

	// UID: a string. Default: none.
	UID claimOrExpression `json:"uid"`

	// Extra: keys are paths below a domain, in lower case and not Kubernetes' own.
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
