// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// callTimeout is for one request to the issuer, from resolving the name to the last byte.
	callTimeout = 10 * time.Second

	// maxAnswer is how long an answer of the token endpoint may be, in bytes.
	maxAnswer = 256 << 10
)

// Tokens are what the token endpoint has issued. Nothing in them is verified.
type Tokens struct {
	// IDToken may be empty after a refresh: the old one serves until it expires (OpenID Connect
	// Core 1.0, section 12.2).
	IDToken string

	// AccessToken is for at_hash.
	AccessToken string

	// RefreshToken is the one to use from now on: after a refresh in which the issuer sends
	// none it is the one that was used (RFC 6749, section 6). It is empty if the issuer gives
	// none at all.
	RefreshToken string
}

// Exchange redeems the code of a callback whose state the caller has found to be this attempt's,
// once: a code is spent by the first request. It compares iss first.
//
// The error wraps [ErrGrantEnded] if the issuer does not accept the code, or
// [identity.ErrUnavailable], or [identity.ErrMalformed] if the callback is from another issuer.
func (p *Provider) Exchange(ctx context.Context, callback *Callback, attempt Attempt) (*Tokens, error) {
	if err := attempt.checkRedemption(); err != nil {
		return nil, fmt.Errorf("%w: redeeming a code: %w", identity.ErrInternal, err)
	}
	if callback.Code == "" {
		return nil, malformed("the callback has no code")
	}
	if err := p.CheckIssuer(ctx, callback); err != nil {
		return nil, err
	}
	tokens, err := p.request(ctx, p.exchanges, url.Values{
		"grant_type": {"authorization_code"}, "code": {callback.Code},
		"redirect_uri": {attempt.RedirectURL}, "code_verifier": {attempt.Verifier},
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("redeeming a code: %w", err)
	case tokens.IDToken == "":
		return nil, unavailable("redeeming a code: the answer has no ID token")
	}
	return tokens, nil
}

// Refresh renews the tokens (RFC 6749, section 6), with one request.
//
// The error wraps [ErrGrantEnded] if the issuer says that the refresh token is no longer good,
// and [identity.ErrUnavailable] in all other cases: then the token may be as good as before, and
// the session must be kept. It is not known whether the issuer has spent the token when no
// whole answer came.
func (p *Provider) Refresh(ctx context.Context, refreshToken string) (*Tokens, error) {
	if refreshToken == "" {
		return nil, fmt.Errorf("%w: refreshing: there is no refresh token", identity.ErrInternal)
	}
	tokens, err := p.request(ctx, p.refreshes, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
	if err != nil {
		return nil, fmt.Errorf("refreshing: %w", err)
	}
	return tokens, nil
}

// request asks the token endpoint. Both grants go through x/oauth2's clientcredentials, whose
// form can have any grant and an assertion beside it: its Config.TokenSource cannot send an
// assertion with a refresh token.
func (p *Provider) request(ctx context.Context, places chan struct{}, form url.Values) (*Tokens, error) {
	known, err := p.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	proof, err := p.credentials(known)
	if err != nil {
		return nil, err
	}
	maps.Copy(form, proof.form)
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return nil, unavailable("the request ended while others asked the token endpoint: %w", ctx.Err())
	}
	client := clientcredentials.Config{
		ClientID: proof.id, ClientSecret: proof.secret, AuthStyle: proof.style,
		TokenURL: known.TokenURL, EndpointParams: form,
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     tokenTransport{p},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	})
	issued, err := client.Token(ctx)
	if err != nil {
		return nil, p.explain(err)
	}
	idToken, _ := issued.Extra("id_token").(string)
	return &Tokens{IDToken: idToken, AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken}, nil
}

// explain returns the error of tokenTransport without x/oauth2's and net/http's. It never
// shows an error of theirs: it could hold a whole answer.
func (p *Provider) explain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok && identity.IsRefusal(wrapped.Err) {
		if status, ok := errors.AsType[fetch.StatusError](wrapped.Err); ok && (status == http.StatusNotFound || status == http.StatusGone) {
			p.moved()
		}
		return wrapped.Err
	}
	return unavailable("the answer of the token endpoint cannot be read")
}

var errRedirect = errors.New("the token endpoint redirects, which is not followed")

// tokenTransport is the network for x/oauth2. It returns an answer only if it is a good one, and
// then in one form.
type tokenTransport struct{ p *Provider }

// RoundTrip implements [http.RoundTripper].
func (t tokenTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Accept", "application/json")
	answer, err := fetch.Do(t.p.via(request.URL), request, fetch.Limit{Bytes: maxAnswer, Time: callTimeout})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", identity.ErrUnavailable, err)
	}
	if answer.Status != http.StatusOK {
		return nil, refusal(answer)
	}
	return readTokens(answer)
}
