// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

const (
	// maxTime is for one request, from resolving the name to the last byte. The judgement that it
	// is a part of has a limit of its own, which may be shorter.
	maxTime = 10 * time.Second

	// maxAnswer is how long an answer may be, in bytes: a token with hundreds of groups has about
	// 32 KiB.
	maxAnswer = 256 << 10
)

// Introspector introspects the tokens of one issuer.
type Introspector struct {
	// Endpoint is where it asks. It proves by Auth that it is the client ClientID.
	Endpoint *Endpoint
	ClientID string
	Auth     codeflow.ClientAuth

	// Issuer is compared with the answer's iss, byte for byte. It is also the audience of an
	// assertion that the proxy signs.
	Issuer string

	// Audiences are the accepted values of aud, which must have one of them. At least one.
	Audiences []string

	// Skew is how far the server's clock may be from ours.
	Skew time.Duration

	Mapper oidc.Mapper

	// Limit is how often the server is asked; nil: no limit.
	Limit *tokencache.Limit

	// OnReview is called with how long each request took, in seconds; may be nil.
	OnReview func(seconds float64)
}

// Review asks who the token's user is. known says that the token was good within the last hour;
// known tokens are introspected before unknown ones. The error wraps [identity.ErrRejected] when
// the answer does not confirm the token, and [identity.ErrUnavailable] when there was no usable
// answer.
func (i *Introspector) Review(ctx context.Context, token string, known bool) (tokencache.Verdict, error) {
	if !isB64Token(token) {
		return tokencache.Verdict{}, fmt.Errorf("%w: the token has characters that no token of RFC 6750 has, and is not introspected", identity.ErrRejected)
	}
	var answer *fetch.Answer
	var err error
	if waited := i.Limit.Review(ctx, known, i.OnReview, func() { answer, err = i.ask(ctx, token) }); waited != nil {
		return tokencache.Verdict{}, waited
	}
	if err != nil {
		return tokencache.Verdict{}, err
	}
	claims, err := read(answer)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return i.decide(ctx, token, claims, time.Now())
}

// isB64Token says whether a token is one of RFC 6750, section 2.1. The form would carry any text,
// but nothing else is a token of a server that speaks OAuth: what would be sent is another kind of
// secret that ended up in the field.
func isB64Token(token string) bool {
	text := strings.TrimRight(token, "=")
	for n := range len(text) {
		switch c := text[n]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return text != ""
}

// ask posts the token (RFC 7662, section 2.1). The hint lets a server look among access tokens
// first; it does not make it leave others out.
func (i *Introspector) ask(ctx context.Context, token string) (*fetch.Answer, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	header := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		// not application/token-introspection+jwt (RFC 9701): who answered is proven by TLS
		"Accept": {"application/json"},
		// Asking twice changes nothing: net/http may ask again when a connection that it kept
		// turns out to be closed. An empty list is not sent.
		"Idempotency-Key": {},
	}
	if err := i.Auth.Prove(i.ClientID, i.Issuer, form, header); err != nil {
		return nil, fmt.Errorf("%w: introspecting a token: %w", identity.ErrUnavailable, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.Endpoint.url.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: introspecting a token: the url cannot be requested", identity.ErrUnavailable)
	}
	request.Header = header
	answer, err := fetch.Do(i.Endpoint.transport(), request, fetch.Limit{Bytes: maxAnswer, Time: maxTime})
	if err != nil {
		return nil, fmt.Errorf("%w: introspecting a token: %w", identity.ErrUnavailable, err)
	}
	return answer, nil
}

// read reads an answer strictly. What says nothing about the token is not a refusal of it: the
// error wraps [identity.ErrUnavailable].
func read(answer *fetch.Answer) (oidc.Claims, error) {
	status := fetch.StatusError(answer.Status)
	var fault error
	switch {
	case answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden:
		// RFC 7662, section 2.3: a bad token is never answered so
		fault = fmt.Errorf("the endpoint refuses the proxy's own credentials (%w)", status)
	case answer.Status >= 300 && answer.Status <= 399:
		fault = fmt.Errorf("the endpoint redirects (%w), which is not followed", status)
	case answer.Status == http.StatusBadRequest && isClientFault(answer):
		fault = fmt.Errorf("the endpoint refuses the proxy's own credentials (%w, invalid_client)", status)
	case answer.Status != http.StatusOK:
		fault = fmt.Errorf("the endpoint answers with %w", status)
	}
	if fault != nil {
		return nil, fmt.Errorf("%w: introspecting a token: %w", identity.ErrUnavailable, fault)
	}
	members, err := codeflow.ReadObject(answer)
	if err == nil && members["error"] != nil {
		err = errors.New("it is an error with status 200")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: introspecting a token: the answer cannot be used: %w", identity.ErrUnavailable, err)
	}
	return members, nil
}

// isClientFault says whether a server that answers 400 means the client (RFC 6749, section 5.2).
func isClientFault(answer *fetch.Answer) bool {
	members, err := codeflow.ReadObject(answer)
	return err == nil && members["error"] == "invalid_client"
}
