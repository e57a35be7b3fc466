// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// minVerifier and maxVerifier bound a PKCE verifier (RFC 7636, section 4.1).
	minVerifier = 43
	maxVerifier = 128

	// maxState bounds a state, of ours and in a callback, in bytes.
	maxState = 4 << 10
)

// Attempt is one login of one browser. The caller makes it, binds it to the browser, and has it
// again when the browser comes back.
type Attempt struct {
	State, Nonce string

	// Verifier is the PKCE verifier: 43 to 128 letters, digits, or characters of "-._~".
	Verifier string

	// RedirectURL is the callback, the same in both requests.
	RedirectURL string

	// Prompt replaces the configured parameter prompt, if it is not empty: select_account after
	// a refusal, so that the user can log in as somebody else.
	Prompt string
}

func (a *Attempt) check() error {
	switch {
	case a.State == "" || len(a.State) > maxState || !isVisible(a.State, false):
		return errors.New("the state is empty, too long or not plain ASCII")
	case a.Nonce == "" || len(a.Nonce) > maxName || !isVisible(a.Nonce, false):
		return errors.New("the nonce is empty, too long or not plain ASCII")
	case !isVisible(a.Prompt, true):
		return errors.New("the prompt is not plain ASCII")
	}
	return a.checkRedemption()
}

// checkRedemption checks what the token endpoint needs.
func (a *Attempt) checkRedemption() error {
	if len(a.Verifier) < minVerifier || len(a.Verifier) > maxVerifier || !isUnreserved(a.Verifier) {
		return errors.New("the PKCE verifier is too short, too long, or has other characters than a verifier has")
	}
	if _, err := url.Parse(a.RedirectURL); err != nil || a.RedirectURL == "" || !isVisible(a.RedirectURL, false) {
		return errors.New("the redirect url is not a url")
	}
	return nil
}

func isUnreserved(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// AuthorizationURL is where the browser is sent to: a request for a code (OpenID Connect Core
// 1.0, section 3.1.2.1), with PKCE S256 and a nonce always, also if the issuer does not announce
// that it knows PKCE: a server ignores parameters that it does not know (RFC 6749, section 3.1).
// A query that the endpoint has is kept. The error wraps [identity.ErrUnavailable], or
// [identity.ErrInternal] if the attempt cannot be used.
func (p *Provider) AuthorizationURL(ctx context.Context, attempt Attempt) (string, error) {
	if err := attempt.check(); err != nil {
		return "", fmt.Errorf("%w: starting a login: %w", identity.ErrInternal, err)
	}
	known, err := p.Metadata(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(attempt.Verifier), oauth2.SetAuthURLParam("nonce", attempt.Nonce),
	}
	if p.settings.ResponseMode != "" {
		options = append(options, oauth2.SetAuthURLParam("response_mode", p.settings.ResponseMode))
	}
	added := make(map[string]bool)
	for _, parameter := range p.settings.Parameters {
		options = append(options, oauth2.SetAuthURLParam(parameter.Name, parameter.Value))
		added[strings.ToLower(parameter.Name)] = true
	}
	if attempt.Prompt != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", attempt.Prompt))
		added["prompt"] = true
	}
	if err := checkQuery(known.AuthorizationURL, func(name string) bool { return isOwned(name) || added[name] }); err != nil {
		return "", unavailable("starting a login: the issuer's %s: %w", authorizationEndpoint, err)
	}
	client := oauth2.Config{
		ClientID: p.settings.ClientID, Scopes: p.settings.Scopes, RedirectURL: attempt.RedirectURL,
		Endpoint: oauth2.Endpoint{AuthURL: known.AuthorizationURL},
	}
	return client.AuthCodeURL(attempt.State, options...), nil
}

// checkQuery refuses an endpoint whose own query has a parameter that is added to it: it would
// be there twice, and the server would choose one.
func checkQuery(endpoint string, isAdded func(folded string) bool) error {
	u, err := fetch.ParseSecureURL(endpoint)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its query cannot be read")
	}
	for name := range query {
		if isAdded(strings.ToLower(name)) {
			return fmt.Errorf("its query has the parameter %s, which is added to it", identity.Quote(name))
		}
	}
	return nil
}
