// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// sessions are the browser sessions of one handler.
type sessions struct {
	handler *Handler
	options *Session
	logins  logins
	state   *sessionState
	jar     *session.Jar
	limits  session.Limits
	owner   *identity.Owner // of claims beside a verdict

	tlsHosts map[string]bool // of https redirect_urls
}

// sessionUse is the session of one request, from its proof until the response has begun.
type sessionUse struct {
	of      *sessions
	login   *login // at which it was begun
	session *session.Session
	site    session.Site
	facts   session.Facts
	since   time.Time        // when its request came
	fresh   bool             // it was refreshed, and its cookie has to be written
	flight  *session.Flight  // a refresh under way
	page    bool             // the request is a navigation
	binding *session.Binding // of the browser that navigates; nil if it has none
}

// tokenClaims is what a session needs to know of a verified ID token.
type tokenClaims struct {
	subject         string
	issued, expires time.Time
}

// readClaims reads the claims of an ID token of a session. It verifies nothing.
func readClaims(token string) (*tokenClaims, bool) {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	var claims struct {
		Subject string  `json:"sub"`
		Issued  float64 `json:"iat"`
		Expires float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return nil, false
	}
	inRange := func(seconds float64) bool { return seconds >= 0 && seconds <= identity.MaxUnixTime }
	if !inRange(claims.Issued) || !inRange(claims.Expires) {
		return nil, false
	}
	return &tokenClaims{claims.Subject, time.Unix(int64(claims.Issued), 0), time.Unix(int64(claims.Expires), 0)}, true
}

// prove finds the session of a request, and asks its source about its ID token. An error that
// wraps [identity.ErrAbsent] says that there is none that counts: a cookie that proves nothing
// is not a bad credential, or no browser could get rid of it. A session that was begun at another
// login than only is absent, too; nil for any.
func (s *sessions) prove(ctx context.Context, ex *exchange, only *login) (*identity.Identity, error) {
	if len(ex.cookies) == 0 || !ex.placed {
		return nil, identity.ErrAbsent
	}
	found, err := s.openAny(ctx, ex)
	switch {
	case errors.Is(err, session.ErrNoCookie):
		return nil, identity.ErrAbsent
	case err != nil:
		return nil, err
	}
	l := s.logins.of(found.Source)
	switch {
	case l == nil:
		return nil, fmt.Errorf("%w: the session was begun at another issuer, or by another client", identity.ErrAbsent)
	case only != nil && l != only:
		return nil, identity.ErrAbsent
	}
	id, claims, err := s.verdict(ctx, ex, l, found.IDToken)
	refreshes := found.RefreshToken != "" && !l.NoRefresh
	expired := id == nil && claims != nil && !ex.Received.Before(claims.expires)
	judged := identity.IsBadCredential(err) || errors.Is(err, identity.ErrForbidden)
	if err != nil && (!judged || !expired || !refreshes) {
		return nil, absentIfBad(err)
	}
	use := &sessionUse{of: s, login: l, session: found, site: ex.site, since: ex.Received, page: ex.page && ex.reads}
	use.facts = s.limits.Facts(found, l.Issuer, claims.subject)
	if err := s.state.denied.Check(use.facts, ex.Received); err != nil {
		return nil, err
	}
	end := claims.expires
	if id != nil {
		end = l.src.end(id)
	}
	now := time.Now()
	if refreshes && (!now.Before(end) || s.state.refreshers[l.Key].Due(found, claims.issued, claims.expires, now)) {
		id, err = s.refresh(ctx, ex, use, id, end, now)
		if err != nil {
			return nil, err
		}
	} else if !now.Before(end) {
		return nil, fmt.Errorf("%w: the session's ID token has expired", identity.ErrAbsent)
	}
	if use.page {
		use.binding, _ = s.jar.OpenBinding(ctx, ex.cookies, ex.site, now) // an error says that there is none
	}
	ex.use = use
	return id, nil
}

// verdict asks the source of the login. The claims are there if the token can be read, whatever
// the verdict.
func (s *sessions) verdict(ctx context.Context, ex *exchange, l *login, token string) (*identity.Identity, *tokenClaims, error) {
	ex.Session = identity.Session{Source: l.Key, Token: token}
	_, id, err := l.src.ask(ctx, ex)
	if err != nil {
		claims, _ := readClaims(token)
		return nil, claims, err
	}
	if known, ok := id.Memo.Get(s.owner).(*tokenClaims); ok {
		return id, known, nil
	}
	claims, ok := readClaims(token)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the session's ID token cannot be read", identity.ErrRejected)
	}
	id.Memo.Put(s.owner, claims)
	return id, claims, nil
}

// absentIfBad makes an absent credential of a bad one. It does not wrap the old error, which has
// another sentinel.
func absentIfBad(err error) error {
	if !identity.IsBadCredential(err) {
		return err
	}
	return fmt.Errorf("%w: the session's ID token: %s", identity.ErrAbsent, err.Error())
}

// refresh gets a new ID token, or goes on with the old one while it lives.
func (s *sessions) refresh(ctx context.Context, ex *exchange, use *sessionUse, id *identity.Identity, end, now time.Time) (*identity.Identity, error) {
	grant := func(ctx context.Context, before *session.Session) (*session.Session, error) {
		return s.grant(ctx, use.login, before)
	}
	got, err := s.state.refreshers[use.login.Key].Refresh(ctx, use.session, end, now, grant)
	switch {
	case errors.Is(err, session.ErrEnded):
		return nil, fmt.Errorf("%w: the session was not refreshed: %s", identity.ErrAbsent, err.Error())
	case err != nil:
		return nil, err
	}
	use.fresh, use.flight = got.Fresh, got.Flight
	if got.Session.IDToken == use.session.IDToken {
		use.session = got.Session
		if id == nil {
			return nil, fmt.Errorf("%w: the session's ID token has expired, and the issuer sent no new one", identity.ErrAbsent)
		}
		return id, nil
	}
	use.session = got.Session
	id, _, err = s.verdict(ctx, ex, use.login, got.Session.IDToken)
	if err != nil && !identity.IsBadCredential(err) {
		ex.use = use // the refusal brings the new tokens
	}
	if err != nil {
		return nil, absentIfBad(err)
	}
	return id, nil
}

// grant asks the issuer for new tokens, and verifies them as those of a login are verified. The old
// refresh token is spent: the new one is kept also if the ID token cannot be verified now, or if its
// user is forbidden. Each request asks the source about the ID token again.
func (s *sessions) grant(ctx context.Context, l *login, before *session.Session) (*session.Session, error) {
	tokens, err := l.Provider.Refresh(ctx, before.RefreshToken)
	switch {
	case errors.Is(err, codeflow.ErrGrantEnded):
		return nil, ended(err)
	case err != nil:
		return nil, err
	case tokens.IDToken == "":
		return before.WithTokens("", tokens.RefreshToken), nil
	}
	verdict := s.verify(ctx, l, tokens.IDToken)
	if identity.IsBadCredential(verdict) {
		return nil, ended(verdict)
	}
	if _, err := l.Provider.CheckRefreshed(before.IDToken, tokens.IDToken, tokens.AccessToken); err != nil {
		return nil, ended(err)
	}
	if errors.Is(verdict, identity.ErrUnavailable) {
		return before.WithTokens("", tokens.RefreshToken), nil // the old ID token serves while it lives
	}
	return before.WithTokens(tokens.IDToken, tokens.RefreshToken), nil
}

// ended says that a session is over, without the sentinel of its cause.
func ended(err error) error { return fmt.Errorf("%w: %s", session.ErrEnded, err.Error()) }

// verify asks the source about an ID token that the issuer has just sent.
func (s *sessions) verify(ctx context.Context, l *login, token string) error {
	ex := &exchange{}
	ex.Received = time.Now()
	ex.Session = identity.Session{Source: l.Key, Token: token, Issued: true}
	_, _, err := l.src.ask(ctx, ex)
	if errors.Is(err, identity.ErrAbsent) {
		return fmt.Errorf("%w: the issuer sent an ID token that is not its own", identity.ErrRejected)
	}
	return err
}

// shortID names a session in the log.
func shortID(id string) string {
	sum := sha256.Sum256([]byte("kube_identity log|" + id))
	return hex.EncodeToString(sum[:4])
}
