// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
)

// Option changes what Start starts.
type Option func(*settings)

type settings struct {
	authentication AuthenticationFunc
	flags          []string
}

// AuthenticationFunc returns an AuthenticationConfiguration, to be encoded as JSON. Its
// server has its files, URL and Issuer, but does not run yet; further issuers can be made
// with NewIssuer.
type AuthenticationFunc func(ctx context.Context, s *Server) (any, error)

// WithAuthenticationConfig replaces the AuthenticationConfiguration with which the server
// accepts the tokens of Issuer. It must let anonymous requests read /readyz, as
// AuthenticationConfig does. Start and Restart wait until the server has keys of each
// issuer in the configuration, except those that are down.
func WithAuthenticationConfig(configuration AuthenticationFunc) Option {
	return func(s *settings) { s.authentication = configuration }
}

// WithFlags adds flags of kube-apiserver after the package's own. A flag that is a list
// is extended; for any other the last value counts.
func WithFlags(flags ...string) Option {
	return func(s *settings) { s.flags = append(s.flags, flags...) }
}

// AuthenticationConfig is an AuthenticationConfiguration with the given
// authenticators, in which anonymous requests reach the health endpoints only.
func AuthenticationConfig(jwt ...map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1",
		"kind":       "AuthenticationConfiguration",
		"anonymous": map[string]any{
			"enabled":    true,
			"conditions": []map[string]any{{"path": "/readyz"}, {"path": "/healthz"}, {"path": "/livez"}},
		},
		"jwt": jwt,
	}
}

// JWT is the authenticator of an issuer, as it is by default for Server.Issuer. It maps a
// token to the user oidc:SUB with the groups oidc:GROUP, the uid SUB and, if there is a
// claim tenant, the extra example.com/tenant.
func (s *Server) JWT(issuer *Issuer) map[string]any {
	type object = map[string]any
	return object{
		"issuer": object{
			"url":                  issuer.URL,
			"certificateAuthority": string(s.keys.serving.pem),
			"audiences":            []string{issuer.Audience},
		},
		"claimMappings": object{
			"username": object{"claim": "sub", "prefix": "oidc:"},
			"groups":   object{"claim": "groups", "prefix": "oidc:"},
			"uid":      object{"claim": "sub"},
			"extra": []object{{
				"key":             "example.com/tenant",
				"valueExpression": `has(claims.tenant) ? claims.tenant : ""`,
			}},
		},
	}
}

// authentication is the part of an authenticator that is needed to ask whether it is
// ready.
type authentication struct {
	Issuer struct {
		URL          string   `json:"url"`
		DiscoveryURL string   `json:"discoveryURL"`
		Audiences    []string `json:"audiences"`
	} `json:"issuer"`
}

// writeAuthentication writes the configuration into a file and keeps the part that
// waitForIssuers needs.
func (s *Server) writeAuthentication(ctx context.Context, configuration AuthenticationFunc) (string, error) {
	var content any = AuthenticationConfig(s.JWT(s.Issuer))
	if configuration != nil {
		var err error
		if content, err = configuration(ctx, s); err != nil {
			return "", fmt.Errorf("making the authentication configuration: %w", err)
		}
	}
	encoded, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("encoding the authentication configuration: %w", err)
	}
	var parsed struct {
		JWT []authentication `json:"jwt"`
	}
	if err := json.Unmarshal(encoded, &parsed); err != nil {
		return "", fmt.Errorf("reading the authentication configuration: %w", err)
	}
	s.authentications = parsed.JWT
	return s.writeJSON("authentication.json", json.RawMessage(encoded))
}
