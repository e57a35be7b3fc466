// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// wellKnown is the path of the discovery document below the issuer's (OpenID Connect Discovery
// 1.0, section 4).
const wellKnown = "/.well-known/openid-configuration"

// Config is one client at one issuer. URLs are https, or http to a loopback address, without
// a user name and a fragment.
type Config struct {
	// Issuer is compared, byte for byte, with the issuer in the discovery document and with iss.
	Issuer string

	// DiscoveryURL is where that document is. Default: below Issuer, without a slash at its end.
	DiscoveryURL string

	// NoDiscovery says that there is no such document. AuthorizationURL and TokenURL are
	// required then.
	NoDiscovery bool

	// AuthorizationURL, TokenURL, EndSessionURL and RevocationURL are used instead of those in
	// the document.
	AuthorizationURL, TokenURL, EndSessionURL, RevocationURL string

	ClientID string
	Auth     ClientAuth

	// Scopes must have openid. Default: openid profile email.
	Scopes []string

	// Parameters are added to the authorization URL.
	Parameters []Parameter

	// ResponseMode is query or form_post. Default: query, without saying so.
	ResponseMode string

	// Roots returns the CAs for the issuer's certificate. It is called before each request, so
	// that a changed file takes effect. Nil, or a nil pool: the system's.
	Roots func() *x509.CertPool

	// Transport replaces the network, for tests.
	Transport http.RoundTripper

	// OnProblem is called for failures of discovery in the background, which no caller sees:
	// the first and then one a minute, with a nil error when they are over. It may be nil.
	OnProblem func(message string, err error)
}

// Parameter is one parameter of the authorization URL, such as prompt or acr_values.
type Parameter struct{ Name, Value string }

// settings are a Config that has been checked.
type settings struct {
	Config

	document *url.URL          // nil: there is none
	fixed    map[string]string // the configured endpoints, by their name in the document
	maxAge   time.Duration     // of the parameter max_age; negative: not asked for
}

// check refuses what cannot be used, and fills in defaults.
func (c Config) check() (*settings, error) {
	s := &settings{Config: c, fixed: make(map[string]string), maxAge: -1}
	if c.Issuer == "" {
		return nil, errors.New("there is no issuer")
	}
	if err := CheckClientID(c.ClientID); err != nil {
		return nil, err
	}
	for _, check := range []func() error{s.checkURLs, s.checkScopes, s.checkParameters, s.Auth.Check} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if c.ResponseMode != "" && c.ResponseMode != "query" && c.ResponseMode != "form_post" {
		return nil, fmt.Errorf("response mode %s is neither query nor form_post", identity.Quote(c.ResponseMode))
	}
	return s, nil
}

func (s *settings) checkURLs() error {
	for name, raw := range map[string]string{
		authorizationEndpoint: s.AuthorizationURL, tokenEndpoint: s.TokenURL,
		endSessionEndpoint: s.EndSessionURL, revocationEndpoint: s.RevocationURL,
	} {
		if raw == "" {
			continue
		}
		if _, err := fetch.ParseSecureURL(raw); err != nil {
			return fmt.Errorf("parsing the url for %s: %w", name, err)
		}
		s.fixed[name] = raw
	}
	switch {
	case !s.NoDiscovery:
	case s.DiscoveryURL != "":
		return errors.New("there is a discovery url, although there is no discovery")
	case s.AuthorizationURL == "" || s.TokenURL == "":
		return errors.New("without discovery an authorization url and a token url are needed")
	default:
		return nil
	}
	raw, what := s.DiscoveryURL, "discovery url"
	if raw == "" {
		raw, what = strings.TrimSuffix(s.Issuer, "/")+wellKnown, "issuer"
		if strings.ContainsAny(s.Issuer, "?#") {
			return errors.New("parsing issuer: it has a query or fragment, so no discovery document can be below it")
		}
	}
	document, err := fetch.ParseSecureURL(raw)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", what, err)
	}
	s.document = document
	return nil
}

// checkScopes refuses what is not a scope-token (RFC 6749, section 3.3).
func (s *settings) checkScopes() error {
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"openid", "profile", "email"}
	}
	if !slices.Contains(s.Scopes, "openid") {
		return errors.New("the scopes have no openid, so the issuer would send no ID token")
	}
	for i, scope := range s.Scopes {
		switch {
		case scope == "" || len(scope) > maxName || !isVisible(scope, false) || strings.ContainsAny(scope, `"\`):
			return fmt.Errorf("scope %s is empty, too long, or has a character that no scope may have", identity.Quote(scope))
		case slices.Contains(s.Scopes[:i], scope):
			return fmt.Errorf("scope %s is there twice", identity.Quote(scope))
		}
	}
	return nil
}

// checkParameters refuses parameters that the flow itself sets, in any case, since some servers
// ignore the case; and one name twice (RFC 6749, section 3.1).
func (s *settings) checkParameters() error {
	seen := make(map[string]bool)
	for _, parameter := range s.Parameters {
		name, folded := parameter.Name, strings.ToLower(parameter.Name)
		switch {
		case name == "" || len(name) > maxName || !isVisible(name, false):
			return fmt.Errorf("parameter %s has no usable name", identity.Quote(name))
		case isOwned(folded):
			return fmt.Errorf("parameter %s is set by the login itself", identity.Quote(name))
		case seen[folded]:
			return fmt.Errorf("parameter %s is there twice", identity.Quote(name))
		case len(parameter.Value) > maxValue || !isVisible(parameter.Value, true):
			return fmt.Errorf("the value of parameter %s is longer than %d bytes or not plain ASCII", identity.Quote(name), maxValue)
		case folded == "max_age":
			seconds, err := strconv.ParseUint(parameter.Value, 10, 31)
			if err != nil {
				return errors.New("parameter max_age is not a number of seconds")
			}
			s.maxAge = time.Duration(seconds) * time.Second
		}
		seen[folded] = true
	}
	return nil
}

// isOwned says whether the flow sets a parameter, or whether it would change what the flow
// means: another redirect (RFC 9101), another proof of possession (RFC 9449, section 10).
func isOwned(folded string) bool {
	return slices.Contains([]string{
		"state", "nonce", "scope", "redirect_uri", "request", "request_uri", "registration", "id_token_hint", "grant_type", "iss", "dpop_jkt",
	}, folded) || slices.ContainsFunc([]string{"response_", "code_", "client_"}, func(prefix string) bool { return strings.HasPrefix(folded, prefix) })
}

const (
	// maxName and maxValue bound names, and values of parameters, in bytes.
	maxName  = 256
	maxValue = 1024
)

// isVisible says whether a text has only printable ASCII characters (VSCHAR of RFC 6749,
// appendix A), with or without blanks.
func isVisible(text string, blanks bool) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == ' ' && !blanks {
			return false
		}
	}
	return true
}
