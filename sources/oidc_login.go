// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// OIDCLogin lets browsers log in at the issuer, by an authorization code with PKCE. The handler's
// option session says how the login is kept.
type OIDCLogin struct {
	// ClientID is the name by which the issuer knows this proxy. It is the source's audience
	// where that is not given. Required.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecretFile is a file with the client's secret, which is read before each use.
	// Refused for a client that proves itself in another way. Default: none.
	ClientSecretFile string `json:"client_secret_file,omitempty"`

	// ClientAuth is how the client proves itself: basic or post with the secret, none for a
	// public client, private_key_jwt or assertion_file with ClientAuthFile. Default: basic, if
	// the issuer lists it or lists nothing, otherwise post.
	ClientAuth string `json:"client_auth,omitempty"`

	// ClientAuthFile is a file with a private key as PEM for private_key_jwt, or with an
	// assertion that the platform writes for assertion_file.
	ClientAuthFile string `json:"client_auth_file,omitempty"`

	// Scopes are what is asked for; without openid they are refused. Default: openid, profile
	// and email. Many issuers give a refresh token only for offline_access.
	Scopes []string `json:"scopes,omitempty"`

	// Parameter are parameters of the redirect to the issuer, such as prompt or acr_values.
	// Those that the login sets itself are refused. Default: none.
	Parameter map[string]string `json:"parameter,omitempty"`

	// RedirectURL is the URL of the callback, as the issuer knows it: the session's path, then
	// /callback. An http URL is refused except for a loopback address. It is needed where a
	// request may name any host. Default: on the site that the request was sent to.
	RedirectURL string `json:"redirect_url,omitempty"`

	// AuthorizationURL, TokenURL, EndSessionURL and RevocationURL replace the endpoints of the
	// discovery document. The first two are required where there is no discovery.
	AuthorizationURL string `json:"authorization_url,omitempty"`
	TokenURL         string `json:"token_url,omitempty"`
	EndSessionURL    string `json:"end_session_url,omitempty"`
	RevocationURL    string `json:"revocation_url,omitempty"`

	// Refresh is "off", or how long before its end an ID token is replaced. Default: a minute,
	// or a fifth of the token's life if that is more.
	Refresh string `json:"refresh,omitempty"`
}

// Login returns how browsers log in here; nil if they do not.
func (o *OIDC) Login() *guest.Login { return o.login }

// provisionLogin checks the login, and makes the audience of it.
func (o *OIDC) provisionLogin() error {
	if o.LoginBlock == nil {
		return nil
	}
	l := o.LoginBlock
	if l.ClientID == "" {
		return errors.New("login: there is no client_id")
	}
	if len(o.Audience) == 0 {
		o.Audience = []string{l.ClientID}
	}
	if !slices.Contains(o.Audience, l.ClientID) {
		return fmt.Errorf("login: client_id %q is not an audience: the ID tokens of a login would be refused", l.ClientID)
	}
	if err := l.checkAuth(); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if _, _, err := parseRefresh(l.Refresh); err != nil {
		return fmt.Errorf("login: refresh: %w", err)
	}
	if l.RedirectURL != "" {
		if err := checkRedirectURL(l.RedirectURL); err != nil {
			return fmt.Errorf("login: redirect_url: %w", err)
		}
	}
	return nil
}

// checkAuth checks that each way to prove the client has its file, and no other.
func (l *OIDCLogin) checkAuth() error {
	method := codeflow.AuthMethod(l.ClientAuth)
	switch method {
	case codeflow.AuthDefault, codeflow.AuthBasic, codeflow.AuthPost:
		switch {
		case l.ClientAuthFile != "":
			return errors.New("client_auth_file has no use without client_auth private_key_jwt or assertion_file")
		case l.ClientSecretFile == "":
			return errors.New("there is no client_secret_file: for a public client there must be client_auth none")
		}
		_, err := readSecret(l.ClientSecretFile)
		return err
	case codeflow.AuthNone, codeflow.AuthPrivateKeyJWT, codeflow.AuthAssertionFile:
		switch {
		case l.ClientSecretFile != "":
			return fmt.Errorf("client_secret_file has no use with client_auth %s", l.ClientAuth)
		case method == codeflow.AuthNone && l.ClientAuthFile != "":
			return errors.New("client_auth_file has no use with client_auth none")
		case method == codeflow.AuthNone:
			return nil
		case l.ClientAuthFile == "":
			return fmt.Errorf("client_auth %s needs a file", l.ClientAuth)
		}
		_, err := readSecret(l.ClientAuthFile)
		return err
	}
	return fmt.Errorf("client_auth: %w", checkClientAuth(l.ClientAuth))
}

func checkClientAuth(word string) error {
	if slices.Contains([]string{"basic", "post", "none", "private_key_jwt", "assertion_file"}, word) {
		return nil
	}
	return fmt.Errorf("%q is not one of basic, post, none, private_key_jwt, assertion_file", word)
}

// maxSecret is how long a file with a secret, a key or an assertion may be, in bytes.
const maxSecret = 64 << 10

// readSecret reads a file without the line's end. Its errors show nothing of it.
func readSecret(path string) (string, error) {
	content, _, err := filewatch.ReadRegular(path, maxSecret)
	switch {
	case err != nil:
		return "", err
	case len(content) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecret)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// parseRefresh reads the option refresh.
func parseRefresh(text string) (off bool, margin time.Duration, err error) {
	switch text {
	case "":
		return false, 0, nil
	case "off":
		return true, 0, nil
	}
	if margin, err = caddy.ParseDuration(text); err != nil {
		return false, 0, fmt.Errorf("%q is neither off nor a duration", text)
	}
	if margin <= 0 {
		return false, 0, fmt.Errorf("%s is not above zero", text)
	}
	return false, margin, nil
}

// checkRedirectURL refuses what an issuer would not send a browser to.
func checkRedirectURL(text string) error {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil || parsed.Opaque != "":
		return fmt.Errorf("%q is not a URL with a host, without a user", text)
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(text, "#"):
		return errors.New("it has a query or a fragment")
	case parsed.Scheme != "https" && (parsed.Scheme != "http" || !fetch.IsLoopback(parsed.Hostname())):
		return fmt.Errorf("%q is not an https url, and its host is not a loopback address", text)
	}
	return nil
}

// newProvider makes what speaks with the issuer. The state has the CAs.
func (o *OIDC) newProvider(state *issuerState) (*codeflow.Provider, error) {
	l := o.LoginBlock
	config := codeflow.Config{
		Issuer: o.Issuer, DiscoveryURL: o.DiscoveryURL,
		NoDiscovery:      o.DiscoveryURL == "" && (o.JWKSURL != "" || o.JWKSFile != ""),
		AuthorizationURL: l.AuthorizationURL, TokenURL: l.TokenURL,
		EndSessionURL: l.EndSessionURL, RevocationURL: l.RevocationURL,
		ClientID: l.ClientID, Scopes: l.Scopes, Roots: state.pool, OnProblem: logIssuer(o.Issuer),
		Auth: codeflow.ClientAuth{Method: codeflow.AuthMethod(l.ClientAuth)},
	}
	switch {
	case l.ClientSecretFile != "":
		config.Auth.Secret = func() (string, error) { return readSecret(l.ClientSecretFile) }
	case config.Auth.Method == codeflow.AuthPrivateKeyJWT:
		config.Auth.Key = func() ([]byte, error) {
			key, err := readSecret(l.ClientAuthFile)
			return []byte(key), err
		}
	case config.Auth.Method == codeflow.AuthAssertionFile:
		config.Auth.Assertion = func() (string, error) { return readSecret(l.ClientAuthFile) }
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
