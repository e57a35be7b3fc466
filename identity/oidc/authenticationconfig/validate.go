// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxAuthenticators is how many entries jwt may have.
const maxAuthenticators = 64

// validator visits a document once, in the order of the API server (k8s.io/apiserver,
// pkg/apis/apiserver/validation), and collects the errors in it.
type validator struct {
	environments *environments
	errs         field.ErrorList
}

func newConfig(c *configuration) (*Config, error) {
	environments, err := newEnvironments()
	if err != nil {
		return nil, err
	}
	v := &validator{environments: environments}
	config := &Config{}
	root := field.NewPath("jwt")
	switch {
	case len(c.JWT) > maxAuthenticators:
		v.errs = append(v.errs, field.TooMany(root, len(c.JWT), maxAuthenticators))
	default:
		for i := range c.JWT {
			config.Authenticators = append(config.Authenticators, v.entry(root.Index(i), &c.JWT[i]))
		}
		v.duplicates(root, c.JWT)
	}
	if a := c.Anonymous; a != nil && !a.Enabled && len(a.Conditions) > 0 {
		v.invalid(field.NewPath("anonymous", "conditions"), "<omitted>", "enabled should be set to true when conditions are defined")
	}
	if err := v.errs.ToAggregate(); err != nil {
		return nil, err
	}
	return config, nil
}

func (v *validator) required(path *field.Path, detail string) {
	v.errs = append(v.errs, field.Required(path, detail))
}

func (v *validator) invalid(path *field.Path, value, detail string) {
	v.errs = append(v.errs, field.Invalid(path, value, detail))
}

func (v *validator) duplicate(path *field.Path, value string) {
	v.errs = append(v.errs, field.Duplicate(path, value))
}

func (v *validator) entry(path *field.Path, e *entry) Authenticator {
	m := &mapper{}
	authenticator := v.issuer(path.Child("issuer"), &e.Issuer)
	v.claimRules(path.Child("claimValidationRules"), e.ClaimValidationRules, m)
	v.mappings(path.Child("claimMappings"), &e.ClaimMappings, m)
	v.userRules(path.Child("userValidationRules"), e.UserValidationRules, m)
	authenticator.Mapper = m
	return authenticator
}

// duplicates refuses a second entry for an issuer: the order would decide which of the two
// counts.
func (v *validator) duplicates(root *field.Path, entries []entry) {
	issuers, discoveries := make(map[string]bool), make(map[string]bool)
	for i := range entries {
		path, issuer := root.Index(i).Child("issuer"), &entries[i].Issuer
		if issuers[issuer.URL] {
			v.duplicate(path.Child("url"), issuer.URL)
		}
		issuers[issuer.URL] = true
		if issuer.DiscoveryURL == "" {
			continue
		}
		if discoveries[issuer.DiscoveryURL] {
			v.duplicate(path.Child("discoveryURL"), issuer.DiscoveryURL)
		}
		discoveries[issuer.DiscoveryURL] = true
	}
}

func (v *validator) issuer(path *field.Path, i *issuer) Authenticator {
	if i.URL == "" {
		v.required(path.Child("url"), "")
	} else {
		v.url(path.Child("url"), i.URL)
	}
	if i.DiscoveryURL != "" {
		at := path.Child("discoveryURL")
		if i.URL != "" && strings.TrimRight(i.URL, "/") == strings.TrimRight(i.DiscoveryURL, "/") {
			v.invalid(at, i.DiscoveryURL, "discoveryURL must be different from URL")
		}
		v.url(at, i.DiscoveryURL)
	}
	v.audiences(path, i)
	pool, err := parseCertificates(i.CertificateAuthority)
	if err != nil {
		v.invalid(path.Child("certificateAuthority"), "<omitted>", err.Error())
	}
	v.egress(path.Child("egressSelectorType"), i.EgressSelectorType)
	return Authenticator{
		IssuerURL:            i.URL,
		DiscoveryURL:         i.DiscoveryURL,
		CertificateAuthority: pool,
		Audiences:            slices.Clone(i.Audiences),
	}
}

// url also refuses an empty query or fragment, which url.Parse does not count as one: the
// path of the discovery document would be appended after the "?" or "#".
func (v *validator) url(path *field.Path, text string) {
	shown := text
	if strings.Contains(text, "@") {
		shown = "<omitted>" // there may be a password in it
	}
	u, err := url.Parse(text)
	if err != nil {
		v.invalid(path, shown, "URL does not parse")
		return
	}
	switch {
	case u.Scheme != "https":
		v.invalid(path, shown, "URL scheme must be https")
	case u.Hostname() == "":
		v.invalid(path, shown, "URL must have a host")
	}
	if u.User != nil {
		v.invalid(path, shown, "URL must not contain a username or password")
	}
	if u.RawQuery != "" || u.ForceQuery {
		v.invalid(path, shown, "URL must not contain a query")
	}
	if strings.Contains(text, "#") {
		v.invalid(path, shown, "URL must not contain a fragment")
	}
}

func (v *validator) audiences(issuer *field.Path, i *issuer) {
	path, policy := issuer.Child("audiences"), issuer.Child("audienceMatchPolicy")
	if len(i.Audiences) == 0 {
		v.required(path, "at least one is required")
		return
	}
	for n, audience := range i.Audiences {
		if audience == "" {
			v.required(path.Index(n), "")
		}
		if slices.Contains(i.Audiences[:n], audience) {
			v.duplicate(path.Index(n), audience)
		}
	}
	const matchAny = "MatchAny"
	switch {
	case i.AudienceMatchPolicy == matchAny:
	case len(i.Audiences) > 1:
		v.invalid(policy, i.AudienceMatchPolicy, "audienceMatchPolicy must be MatchAny for multiple audiences")
	case i.AudienceMatchPolicy != "":
		v.invalid(policy, i.AudienceMatchPolicy, "audienceMatchPolicy must be empty or MatchAny for single audience")
	}
}

// egress refuses an egress selector: the file would reach the issuer another way than this
// proxy does.
func (v *validator) egress(path *field.Path, selector string) {
	switch selector {
	case "":
	case "controlplane", "cluster":
		v.invalid(path, selector, "this proxy has no egress selector: it reaches issuers directly")
	default:
		v.invalid(path, selector, "egress selector must be either controlplane or cluster")
	}
}

// parseCertificates reads certificates as client-go does (util/cert): other blocks are
// ignored. nil: the text is empty.
func parseCertificates(text string) (*x509.CertPool, error) {
	if text == "" {
		return nil, nil // nil is the system's pool
	}
	pool, found := x509.NewCertPool(), false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(certificate)
		found = true
	}
	if !found {
		return nil, errors.New("data does not contain any valid certificate")
	}
	return pool, nil
}
