// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

const (
	// logoutEvent is the member of events that makes a token a logout token (OpenID Connect
	// Back-Channel Logout 1.0, section 2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	// logoutWindow is how far the iat of a logout token may be from now.
	logoutWindow = 5 * time.Minute

	// maxLogoutBody bounds the body of a back-channel logout, in bytes.
	maxLogoutBody = 64 << 10

	// maxID bounds jti, sid and sub of a logout token, in bytes.
	maxID = 1024
)

// HasLogoutEvent says whether the claims are those of a logout token. Such a token has the
// issuer, audience and subject of an ID token and is signed by the same keys, but it is not a
// credential. Package oidc refuses every token that has events.
func HasLogoutEvent(claims map[string]any) bool {
	events, _ := claims["events"].(map[string]any)
	_, there := events[logoutEvent]
	return there
}

// ParseLogoutForm reads the body of a back-channel logout (section 2.5): a form with one
// logout_token. The error wraps [identity.ErrMalformed].
func ParseLogoutForm(body string) (token string, err error) {
	if len(body) > maxLogoutBody {
		return "", malformed("the body of the logout is longer than %d bytes", maxLogoutBody)
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return "", malformed("the body of the logout is not a form")
	}
	if tokens := form["logout_token"]; len(tokens) != 1 || tokens[0] == "" {
		return "", malformed("the body of the logout does not have exactly one logout_token")
	}
	return form.Get("logout_token"), nil
}

// LogoutVerifier verifies logout tokens of one issuer for one client.
type LogoutVerifier struct {
	Issuer, ClientID string

	// Skew is how far the issuer's clock may be from ours for exp.
	Skew time.Duration

	// Algorithms are those that are accepted. Empty: [oidc.Algorithms].
	Algorithms []string

	// VerifySignature returns the payload of a JWS that a key of the issuer has signed. The
	// error wraps [identity.ErrRejected] or [identity.ErrUnavailable].
	VerifySignature func(ctx context.Context, token string, header oidc.Header) (payload []byte, err error)
}

// LogoutToken says which sessions end: those of SessionID, or all of Subject at the issuer if
// there is no SessionID.
type LogoutToken struct {
	Issuer, Subject, SessionID string

	// ID is the jti, for [Replays].
	ID string

	IssuedAt, Expires time.Time
}

// Verify checks a logout token (section 2.6). The cheap checks go first. That it was not seen
// before is for [Replays.Use]. The error wraps [identity.ErrRejected] or
// [identity.ErrUnavailable].
func (v *LogoutVerifier) Verify(ctx context.Context, raw string) (*LogoutToken, error) {
	s, err := readJWS(raw)
	if err != nil {
		return nil, rejected("reading a logout token: %w", err)
	}
	header, err := v.header(s.header)
	if err != nil {
		return nil, rejected("reading a logout token: %w", err)
	}
	token, err := v.check(s, time.Now())
	if err != nil {
		return nil, rejected("checking a logout token: %w", err)
	}
	payload, err := v.VerifySignature(ctx, raw, header)
	switch {
	case err != nil && identity.IsRefusal(err):
		return nil, fmt.Errorf("verifying a logout token: %w", err)
	case err != nil || !bytes.Equal(payload, s.payload):
		return nil, rejected("verifying a logout token: the signed claims are not those that were read")
	}
	return token, nil
}

// header refuses what package oidc refuses for a bearer token, except the type: a logout token
// is a logout+jwt or, from issuers of before 2022, a JWT.
func (v *LogoutVerifier) header(members map[string]any) (oidc.Header, error) {
	var texts [4]string
	for i, name := range [...]string{"alg", "kid", "typ", "cty"} {
		text, ok := members[name].(string)
		if _, there := members[name]; there && !ok {
			return oidc.Header{}, fmt.Errorf("its %s is not a string", name)
		}
		texts[i] = text
	}
	for _, name := range [...]string{"crit", "b64"} {
		if _, there := members[name]; there {
			return oidc.Header{}, fmt.Errorf("it has an extension (%s)", name)
		}
	}
	algorithms := v.Algorithms
	if len(algorithms) == 0 {
		algorithms = oidc.Algorithms()
	}
	kind := strings.TrimPrefix(strings.ToLower(texts[2]), "application/")
	switch {
	case !slices.Contains(algorithms, texts[0]):
		return oidc.Header{}, fmt.Errorf("the issuer does not sign with %s", identity.Quote(texts[0]))
	case kind != "logout+jwt" && kind != "jwt" && kind != "":
		return oidc.Header{}, fmt.Errorf("it is a %s and not a logout token", identity.Quote(texts[2]))
	case texts[3] != "":
		return oidc.Header{}, errors.New("its content is not claims (cty)")
	}
	return oidc.Header{Algorithm: texts[0], KeyID: texts[1]}, nil
}

// check checks the claims.
func (v *LogoutVerifier) check(s *segments, now time.Time) (*LogoutToken, error) {
	var t LogoutToken
	for name, field := range map[string]*string{"iss": &t.Issuer, "sub": &t.Subject, "sid": &t.SessionID, "jti": &t.ID} {
		text, err := s.text(name)
		if err != nil {
			return nil, err
		}
		if len(text) > maxID {
			return nil, fmt.Errorf("its %s is longer than %d bytes", name, maxID)
		}
		*field = text
	}
	audience, err := s.list("aud")
	if err != nil {
		return nil, err
	}
	events, _ := s.claims["events"].(map[string]any)
	_, isObject := events[logoutEvent].(map[string]any)
	_, hasNonce := s.claims["nonce"]
	switch {
	case t.Issuer != v.Issuer:
		return nil, fmt.Errorf("it is from another issuer: %s", identity.Quote(t.Issuer))
	case !slices.Contains(audience, v.ClientID):
		return nil, errors.New("the client is not one of its audiences")
	case !HasLogoutEvent(s.claims) || !isObject:
		return nil, errors.New("it does not report a logout (events)")
	case hasNonce: // an ID token must not pass as a logout token
		return nil, errors.New("it has a nonce")
	case t.ID == "":
		return nil, errors.New("it has no jti")
	case t.Subject == "" && t.SessionID == "":
		return nil, errors.New("it has neither sub nor sid")
	}
	if err := v.checkTimes(&t, s, now); err != nil {
		return nil, err
	}
	return &t, nil
}

func (v *LogoutVerifier) checkTimes(t *LogoutToken, s *segments, now time.Time) error {
	for name, field := range map[string]*time.Time{"iat": &t.IssuedAt, "exp": &t.Expires} {
		seconds, ok := s.claims[name].(float64)
		if !ok || seconds < 0 || seconds > identity.MaxUnixTime {
			return fmt.Errorf("its %s is not a time", name)
		}
		*field = time.Unix(int64(seconds), 0)
	}
	switch {
	case now.Sub(t.IssuedAt).Abs() > logoutWindow:
		return fmt.Errorf("its iat is not within %s of now", logoutWindow)
	case now.After(t.Expires.Add(v.Skew)):
		return errors.New("it has expired")
	}
	return nil
}
