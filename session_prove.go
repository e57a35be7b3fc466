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
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// sessions are the browser sessions of one handler.
type sessions struct {
	handler *Handler
	options *Session
	src     *configuredSource // at whose issuer browsers log in
	login   *guest.Login
	state   *sessionState
	jar     *session.Jar
	limits  session.Limits
	owner   *identity.Owner // of claims beside a verdict
	tlsHost string          // of an https redirect_url
}

// sessionUse is the session of one request, from its proof until the response has begun.
type sessionUse struct {
	of      *sessions
	session *session.Session
	site    session.Site
	facts   session.Facts
	fresh   bool            // it was refreshed, and its cookie has to be written
	flight  *session.Flight // a refresh under way
	lines   []string        // of Cookie
	page    bool            // the request is a navigation
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

// locate finds out which site a request was sent to, and whether it is for one of the session's
// own paths. It strips the session's cookies in other cases than the usual one, too: upstreams
// may read names in a way of their own.
func (s *sessions) locate(r *http.Request, ex *exchange) (own bool) {
	asked := ex.browser(r)
	ex.page, ex.reads = browser.IsNavigation(asked), r.Method == http.MethodGet || r.Method == http.MethodHead
	ex.scheme, ex.host, ex.site, ex.placed = s.place(asked)
	if len(r.Header["Cookie"]) > 0 {
		s.stripCookies(r.Header)
	}
	return s.owns(r)
}

func (s *sessions) stripCookies(header http.Header) {
	var lines []string
	for _, line := range header["Cookie"] {
		own := func(pair string) bool { return s.jar.Owns(identity.CookieName(pair)) }
		pairs := strings.Split(line, ";")
		if slices.ContainsFunc(pairs, own) {
			line = strings.TrimSpace(strings.Join(slices.DeleteFunc(pairs, own), ";"))
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = lines
}

// place is the site as cookies know it. It is not ok over plain http that is not allowed.
func (s *sessions) place(r browser.Request) (scheme, host string, site session.Site, ok bool) {
	scheme, host, ok = r.Site()
	name := withoutPort(host)
	if scheme == "http" && host == s.tlsHost {
		scheme = "https" // a proxy that does not say so ends TLS
	}
	site = session.Site{Host: name, Secure: scheme == "https"}
	return scheme, host, site, ok && (site.Secure || s.options.InsecureHTTP || fetch.IsLoopback(name) || strings.HasSuffix(name, ".localhost"))
}

// withoutPort cuts the port off a host.
func withoutPort(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:colon]
	}
	return strings.Trim(host, "[]")
}

// prove finds the session of a request, and asks its source about its ID token. An error that
// wraps [identity.ErrAbsent] says that there is none that counts: a cookie that proves nothing
// is not a bad credential, or no browser could get rid of it.
func (s *sessions) prove(ctx context.Context, ex *exchange) (*identity.Identity, error) {
	if len(ex.cookies) == 0 || !ex.placed {
		return nil, identity.ErrAbsent
	}
	found, err := s.openAny(ctx, ex)
	switch {
	case errors.Is(err, session.ErrNoCookie):
		return nil, identity.ErrAbsent
	case err != nil:
		return nil, err
	case found.Source != s.login.Key:
		return nil, fmt.Errorf("%w: the session was begun at another issuer, or by another client", identity.ErrAbsent)
	}
	id, claims, err := s.verdict(ctx, ex, found.IDToken)
	refreshes := found.RefreshToken != "" && !s.login.NoRefresh
	expired := id == nil && claims != nil && !ex.Received.Before(claims.expires)
	if err != nil && !(identity.IsBadCredential(err) && expired && refreshes) {
		return nil, absentIfBad(err)
	}
	use := &sessionUse{of: s, session: found, site: ex.site, lines: ex.cookies, page: ex.page && ex.reads}
	use.facts = s.limits.Facts(found, s.login.Issuer, claims.subject)
	if err := s.state.denied.Check(use.facts, ex.Received); err != nil {
		return nil, err
	}
	end := claims.expires
	if id != nil {
		end = s.src.end(id)
	}
	now := time.Now()
	if refreshes && (!now.Before(end) || s.state.refresher.Due(found, claims.issued, claims.expires, now)) {
		id, err = s.refresh(ctx, ex, use, id, end, now)
		if err != nil {
			return nil, err
		}
	} else if !now.Before(end) {
		return nil, fmt.Errorf("%w: the session's ID token has expired", identity.ErrAbsent)
	}
	ex.use = use
	return id, nil
}

// verdict asks the source. The claims are there if the token can be read, whatever the verdict.
func (s *sessions) verdict(ctx context.Context, ex *exchange, token string) (*identity.Identity, *tokenClaims, error) {
	ex.Session = identity.Session{Source: s.login.Key, Token: token}
	_, id, err := s.src.ask(ctx, ex)
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
	got, err := s.state.refresher.Refresh(ctx, use.session, end, now, s.grant)
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
	id, _, err = s.verdict(ctx, ex, got.Session.IDToken)
	if err != nil {
		return nil, absentIfBad(err)
	}
	return id, nil
}

// grant asks the issuer for new tokens, and verifies them as those of a login are verified.
func (s *sessions) grant(ctx context.Context, before *session.Session) (*session.Session, error) {
	tokens, err := s.login.Provider.Refresh(ctx, before.RefreshToken)
	switch {
	case errors.Is(err, codeflow.ErrGrantEnded):
		return nil, ended(err)
	case err != nil:
		return nil, err
	case tokens.IDToken == "":
		return before.WithTokens("", tokens.RefreshToken), nil
	}
	err = s.verify(ctx, tokens.IDToken)
	if err == nil {
		_, err = s.login.Provider.CheckRefreshed(before.IDToken, tokens.IDToken, tokens.AccessToken)
	}
	switch {
	case err != nil && identity.IsBadCredential(err):
		return nil, ended(err)
	case err != nil:
		return nil, err
	}
	return before.WithTokens(tokens.IDToken, tokens.RefreshToken), nil
}

// ended says that a session is over, without the sentinel of its cause.
func ended(err error) error { return fmt.Errorf("%w: %s", session.ErrEnded, err.Error()) }

// verify asks the source about an ID token that the issuer has just sent.
func (s *sessions) verify(ctx context.Context, token string) error {
	ex := &exchange{}
	ex.Received = time.Now()
	_, _, err := s.verdict(ctx, ex, token)
	if errors.Is(err, identity.ErrAbsent) {
		return fmt.Errorf("%w: the issuer sent an ID token that is not its own", identity.ErrRejected)
	}
	return err
}

// isExplicit says whether a request has a bearer token in any field: then its session does not
// count, and a bad token is refused. An Authorization of another scheme is not one.
func (h *Handler) isExplicit(stripped identity.Stripped) bool {
	for _, field := range h.credentials {
		lines := stripped.Lines(field)
		switch {
		case len(lines) == 0:
		case field != "Authorization":
			for _, line := range lines {
				if !identity.IsNothing(line) {
					return true
				}
			}
		case len(lines) > 1 || len(lines[0]) >= 6 && strings.EqualFold(lines[0][:6], "bearer"):
			return true
		}
	}
	return false
}

// checkHint refuses a bearer token that was a hint at a logout: it went through an address bar.
func (s *sessions) checkHint(ctx context.Context, token string, now time.Time) error {
	s.state.ready(ctx)
	switch err := s.state.denied.CheckToken(token, now); {
	case errors.Is(err, session.ErrDenied):
		return fmt.Errorf("%w: the token was used to log out", identity.ErrRejected)
	default:
		return err
	}
}

// shortID names a session in the log.
func shortID(id string) string {
	sum := sha256.Sum256([]byte("kube_identity log|" + id))
	return hex.EncodeToString(sum[:4])
}
