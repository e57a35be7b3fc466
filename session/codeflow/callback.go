// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// maxCallback bounds the parameters of a callback, in bytes.
const maxCallback = 16 << 10

// ErrorCode is an error of the authorization endpoint.
type ErrorCode string

// The codes that tell what to answer the user. Every other code is [CodeOther]: codes in a URL
// may be anything, and are labels of metrics.
const (
	CodeAccessDenied    ErrorCode = "access_denied"
	CodeLoginRequired   ErrorCode = "login_required" // the issuer cannot log the user in silently
	CodeUnavailable     ErrorCode = "temporarily_unavailable"
	CodeServerError     ErrorCode = "server_error"
	CodeInvalidRequest  ErrorCode = "invalid_request"
	CodeInvalidScope    ErrorCode = "invalid_scope"
	CodeClientRefused   ErrorCode = "unauthorized_client"
	CodeResponseType    ErrorCode = "unsupported_response_type"
	CodeInteraction     ErrorCode = "interaction_required"
	CodeConsent         ErrorCode = "consent_required"
	CodeAccountRequired ErrorCode = "account_selection_required"
	CodeOther           ErrorCode = "other"
)

// ErrorCodes returns all of them.
func ErrorCodes() []ErrorCode {
	return []ErrorCode{
		CodeAccessDenied, CodeLoginRequired, CodeUnavailable, CodeServerError, CodeInvalidRequest, CodeInvalidScope,
		CodeClientRefused, CodeResponseType, CodeInteraction, CodeConsent, CodeAccountRequired, CodeOther,
	}
}

// Callback is what the browser brings back: a code or an error. It may be made up until its
// State is found to be one of ours.
type Callback struct {
	State string
	Code  string // empty if there is an Error

	// Error is why there is no code.
	Error ErrorCode

	// Description is the issuer's text about the error, for the log: quoted, and its first
	// 64 bytes only. Never show it to the user, who may not have asked for this page.
	Description string

	issuer    string
	hasIssuer bool
}

// ParseCallback reads the parameters of a callback as they came: the query of the request, or
// the body of the form with response_mode form_post. Each of code, state, iss and error may be
// there once (RFC 6749, section 3.1), with either a code or an error, and always a state.
// Parameters that are not known are ignored (section 4.1.2). Tokens are refused: only a code was
// asked for, and a token would be in the browser's history. The error wraps
// [identity.ErrMalformed], and shows no value.
func ParseCallback(raw string) (*Callback, error) {
	if len(raw) > maxCallback {
		return nil, malformed("the callback's parameters are longer than %d bytes", maxCallback)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("the callback's parameters cannot be read")
	}
	for _, known := range []struct {
		name string
		most int
	}{
		{"code", maxState},
		{"state", maxState},
		{"iss", maxState},
		{"error", maxName},
		{"error_description", maxCallback},
		{"error_uri", maxCallback},
	} {
		switch given := values[known.name]; {
		case len(given) > 1:
			return nil, malformed("the callback's parameter %s is there twice", known.name)
		case len(given) == 0 || known.name == "error_description" || known.name == "error_uri":
		case len(given[0]) > known.most:
			return nil, malformed("the callback's parameter %s is longer than %d bytes", known.name, known.most)
		case given[0] == "" || !isVisible(given[0], false):
			return nil, malformed("the callback's parameter %s is empty or has other characters than plain ASCII", known.name)
		}
	}
	return callback(values)
}

func callback(values url.Values) (*Callback, error) {
	switch {
	case values.Has("access_token") || values.Has("id_token") || values.Has("response"):
		return nil, malformed("the callback has tokens, and only a code was asked for")
	case !values.Has("state"):
		return nil, malformed("the callback has no state")
	case values.Has("code") && values.Has("error"):
		return nil, malformed("the callback has both a code and an error")
	case !values.Has("code") && !values.Has("error"):
		return nil, malformed("the callback has neither a code nor an error")
	}
	c := &Callback{
		State: values.Get("state"), Code: values.Get("code"),
		issuer: values.Get("iss"), hasIssuer: values.Has("iss"),
	}
	if values.Has("error") {
		c.Error = errorCode(values.Get("error"))
		if text := values.Get("error_description"); text != "" {
			c.Description = identity.Quote(text)
		}
	}
	return c, nil
}

func errorCode(text string) ErrorCode {
	if code := ErrorCode(text); slices.Contains(ErrorCodes(), code) {
		return code
	}
	return CodeOther
}

// CheckIssuer compares the callback's iss with the issuer (RFC 9207, section 2.4), so that no
// issuer gets the code of another one (mix-up, RFC 9700, section 4.4). An error is compared
// too. iss may be missing only if the issuer does not announce it. The error wraps
// [identity.ErrMalformed], or [identity.ErrUnavailable] if it cannot be decided.
func (p *Provider) CheckIssuer(ctx context.Context, c *Callback) error {
	if c.hasIssuer {
		if c.issuer != p.settings.Issuer {
			return malformed("the callback is from another issuer: %s", identity.Quote(c.issuer))
		}
		return nil
	}
	known, err := p.Metadata(ctx)
	switch {
	case err != nil:
		return err
	case known.IssuerParameter:
		return malformed("the callback does not say which issuer it is from, although the issuer announces that (iss)")
	}
	return nil
}

var (
	errClosed      = errors.New("given up, as the configuration is no longer in use")
	errNotLoopback = errors.New("plain http is for loopback addresses only, and this is not one")
)
