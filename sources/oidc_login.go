// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// OIDCLogin lets browsers log in at the issuer, by an authorization code with PKCE. The handler's
// option session says how the login is kept.
type OIDCLogin struct {
	Client

	// Scopes are those that the login asks for; "openid" must be among them. Many issuers give a
	// refresh token only for "offline_access". Default: "openid", "profile" and "email".
	Scopes []string `json:"scopes,omitempty"`

	// Parameter is a parameter of the redirect to the issuer, such as "prompt" or "acr_values".
	// It may appear more than once. Those that the login sets itself are refused. Default: none.
	Parameter map[string]string `json:"parameter,omitempty"`

	// RedirectURL is the URL of the callback, as the issuer knows it: the session's path, then
	// /callback. An http URL is refused except for a loopback address. It is needed where a
	// request may name any host: in a site without a host name. Default: on the site that the
	// request was sent to.
	RedirectURL string `json:"redirect_url,omitempty"`

	// ResponseMode is how the issuer sends the browser back: "query", with a redirect, or
	// "form_post", with a form that its page posts, so that the code is in no address. The latter
	// needs https. Default: "query".
	ResponseMode string `json:"response_mode,omitempty"`

	// Name is the label by which a user chooses this login. Where a site has several, each of them needs one
	// of its own, in any case of its letters. It has letters, digits, blanks and "-._", begins
	// and ends with a letter or digit, and has 40 characters at most. It is a part of paths too,
	// with "-" for blanks: login/<name>, and callback/<name>, which the issuer must know.
	// Default: none, for one login alone.
	Name string `json:"name,omitempty"`

	// AuthorizationURL and TokenURL replace endpoints of the discovery document. Default: those
	// of the document; required where there is no discovery.
	AuthorizationURL string `json:"authorization_url,omitempty"`
	TokenURL         string `json:"token_url,omitempty"`

	// EndSessionURL and RevocationURL replace the endpoints for a logout: the issuer's page, and
	// where the refresh token is revoked. Default: those of the discovery document, if it has
	// them.
	EndSessionURL string `json:"end_session_url,omitempty"`
	RevocationURL string `json:"revocation_url,omitempty"`

	// Refresh is "off", or how long before its end an ID token is replaced. Zero and less are
	// refused. Default: a minute, or a fifth of the token's life if that is more.
	Refresh string `json:"refresh,omitempty"`
}

// Login returns how browsers log in here; nil if they do not.
func (o *OIDC) Login() *guest.Login { return o.login }

// newProvider makes what speaks with the issuer. The state has the CAs.
func (o *OIDC) newProvider(state *issuerState) (*codeflow.Provider, error) {
	l := o.LoginBlock
	config := codeflow.Config{
		Issuer: o.Issuer, DiscoveryURL: o.DiscoveryURL,
		NoDiscovery:      o.DiscoveryURL == "" && (o.JWKSURL != "" || o.JWKSFile != ""),
		AuthorizationURL: l.AuthorizationURL, TokenURL: l.TokenURL,
		EndSessionURL: l.EndSessionURL, RevocationURL: l.RevocationURL,
		ClientID: l.ClientID, Scopes: l.Scopes, ResponseMode: l.ResponseMode, Roots: state.pool, OnProblem: logIssuer(o.Issuer),
		Auth: l.auth(),
	}
	for _, name := range slices.Sorted(maps.Keys(l.Parameter)) {
		config.Parameters = append(config.Parameters, codeflow.Parameter{Name: name, Value: l.Parameter[name]})
	}
	provider, err := codeflow.New(config)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return provider, nil
}

// newLogin is what the handler needs to know of a login. The key does not show the client's name.
func (o *OIDC) newLogin(state *issuerState) *guest.Login {
	off, margin, _ := parseRefresh(o.LoginBlock.Refresh) // checked before
	sum := sha256.Sum256(identity.AppendFramed(nil, o.Issuer, o.LoginBlock.ClientID))
	return &guest.Login{
		Key: base64.RawURLEncoding.EncodeToString(sum[:12]), Issuer: o.Issuer, Provider: state.provider,
		Logout: &codeflow.LogoutVerifier{
			Issuer: o.Issuer, ClientID: o.LoginBlock.ClientID, Skew: time.Duration(*o.ClockSkew), Algorithms: o.SigningAlgs,
			VerifySignature: state.keys.VerifySignature,
		},
		RedirectURL: o.LoginBlock.RedirectURL, NoRefresh: off, Margin: margin,
		Name: o.LoginBlock.Name, FormPost: o.LoginBlock.ResponseMode == formPost,
	}
}

// sessionToken is the token of a session that was begun at this source.
func (o *OIDC) sessionToken(r *identity.Request) (string, error) {
	if o.login == nil || r.Session.Token == "" || r.Session.Source != o.login.Key {
		return "", identity.ErrAbsent
	}
	if len(r.Session.Token) > o.MaxTokenSize {
		return "", fmt.Errorf("%w: the session's ID token has %d bytes, more than %d", identity.ErrRejected, len(r.Session.Token), o.MaxTokenSize)
	}
	return r.Session.Token, nil
}
