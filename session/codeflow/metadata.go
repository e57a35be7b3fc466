// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// The names of the endpoints in a discovery document.
const (
	authorizationEndpoint = "authorization_endpoint"
	tokenEndpoint         = "token_endpoint"
	endSessionEndpoint    = "end_session_endpoint"
	revocationEndpoint    = "revocation_endpoint"
)

// Metadata is what is known about an issuer, from its discovery document and the
// configuration. It is never changed.
type Metadata struct {
	AuthorizationURL string
	TokenURL         string
	EndSessionURL    string // empty: the issuer has none
	RevocationURL    string // empty: the issuer has none

	// IssuerParameter says that each callback has the parameter iss (RFC 9207).
	IssuerParameter bool

	// BackChannelLogout says that the issuer sends logout tokens.
	BackChannelLogout bool

	// AuthMethods, ChallengeMethods, ResponseModes and Scopes are lists of the document, nil if
	// it has none. Issuers often leave values out of them, so nothing is refused for them.
	AuthMethods, ChallengeMethods, ResponseModes, Scopes []string
}

// parseMetadata reads a discovery document (OpenID Connect Discovery 1.0, section 3). Its
// issuer must be equal to the configured one, byte for byte (section 4.3): otherwise, on a host
// with several issuers, one of them could have the codes and the secret for another sent to
// itself. An endpoint is used as safely as the document was fetched: one of a document that
// came over https is not on a port of the proxy's own machine, which any process there may have
// opened.
func parseMetadata(content []byte, s *settings) (*Metadata, error) {
	// the reader of tokens: a name that is there twice, in any case, is an error
	document, err := oidc.ParseClaims(content)
	if err != nil {
		return nil, fmt.Errorf("it is not a JSON object with unique names: %w", err)
	}
	issuer, ok := document["issuer"].(string)
	switch {
	case !ok:
		return nil, errors.New("its issuer is not a string")
	case issuer != s.Issuer:
		return nil, fmt.Errorf("it belongs to the issuer %s", identity.Quote(issuer))
	}
	r := reader{document: document, scheme: s.document.Scheme}
	return r.metadata(s)
}

// reader takes members out of a document, and keeps the first fault.
type reader struct {
	document map[string]any
	scheme   string
	err      error
}

func (r *reader) metadata(s *settings) (*Metadata, error) {
	endpoints := maps.Clone(s.fixed)
	for _, name := range []string{authorizationEndpoint, tokenEndpoint, endSessionEndpoint, revocationEndpoint} {
		if endpoints[name] == "" {
			endpoints[name] = r.url(name)
		}
	}
	m := &Metadata{
		AuthorizationURL: endpoints[authorizationEndpoint], TokenURL: endpoints[tokenEndpoint],
		EndSessionURL: endpoints[endSessionEndpoint], RevocationURL: endpoints[revocationEndpoint],
		IssuerParameter:   r.bool("authorization_response_iss_parameter_supported"),
		BackChannelLogout: r.bool("backchannel_logout_supported"),
		AuthMethods:       r.list("token_endpoint_auth_methods_supported"),
		ChallengeMethods:  r.list("code_challenge_methods_supported"),
		ResponseModes:     r.list("response_modes_supported"),
		Scopes:            r.list("scopes_supported"),
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case m.AuthorizationURL == "":
		return nil, errors.New("it has no " + authorizationEndpoint)
	case m.TokenURL == "":
		return nil, errors.New("it has no " + tokenEndpoint)
	}
	return m, nil
}

// fail keeps the first fault. A member that is null counts as one that is not there.
func (r *reader) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("its %s: %w", name, err)
	}
}

func (r *reader) url(name string) string {
	value := r.document[name]
	raw, ok := value.(string)
	if value == nil {
		return ""
	}
	if !ok {
		r.fail(name, errors.New("it is not a string"))
		return ""
	}
	endpoint, err := fetch.ParseSecureURL(raw)
	switch {
	case err != nil:
		r.fail(name, err)
	case r.scheme == "https" && endpoint.Scheme != "https":
		r.fail(name, fmt.Errorf("%s is not an https url, and the document came over https", identity.Quote(raw)))
	}
	return raw
}

func (r *reader) bool(name string) bool {
	value, ok := r.document[name].(bool)
	if !ok && r.document[name] != nil {
		r.fail(name, errors.New("it is neither true nor false"))
	}
	return value
}

func (r *reader) list(name string) []string {
	value := r.document[name]
	if value == nil {
		return nil
	}
	elements, ok := value.([]any)
	list := make([]string, 0, len(elements))
	for _, element := range elements {
		text, isText := element.(string)
		ok = ok && isText
		list = append(list, text)
	}
	if !ok {
		r.fail(name, errors.New("it is not a list of strings"))
	}
	return list
}

// Origin is the origin of an endpoint, for a Content-Security-Policy. It is empty if there is
// no such endpoint.
func Origin(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
