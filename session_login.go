// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// plan is what a login is begun with.
type plan struct {
	login    *login
	to       string // where to go afterwards
	prompt   string // instead of the configured one
	restarts int
	before   *session.Attempt // that is begun again, or nil
	instead  bool             // the answer is not to a request for one of the session's own paths
}

// returnPath checks where a browser wants to return to.
func (s *sessions) returnPath(target string) (string, error) {
	return session.ReturnPath(target, s.options.Path)
}

// start sends the browser to the issuer. It costs no memory, and does not ask the issuer.
func (s *sessions) start(w http.ResponseWriter, r *http.Request, ex *exchange, p plan) error {
	ctx, now := r.Context(), ex.Received
	ex.login = p.login
	switch {
	case !ex.placed:
		return s.fail(w, r, ex, errInsecure())
	case p.login.FormPost && !ex.site.Secure:
		return s.fail(w, r, ex, errFormOverHTTP())
	}
	s.state.ready(ctx)
	binding, err := s.jar.OpenBinding(ctx, ex.cookies, ex.site, now)
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		return s.fail(w, r, ex, unavailable(err))
	case err != nil:
		binding = session.NewBinding(now)
	case binding.Looping(now):
		return s.fail(w, r, ex, s.looping())
	}
	attempt := session.NewAttempt(now)
	attempt.Source, attempt.Origin, attempt.Return, attempt.Restarts = p.login.Key, ex.scheme+"://"+ex.host, p.to, p.restarts
	state, err := s.jar.SealState(attempt, binding, ex.site)
	if err != nil {
		return s.fail(w, r, ex, unavailable(err))
	}
	to := s.attempt(ex, attempt, binding)
	to.State, to.Prompt = state, p.prompt
	location, err := p.login.Provider.AuthorizationURL(ctx, to)
	if err != nil {
		return s.fail(w, r, ex, unavailable(err))
	}
	cookie, err := s.jar.SealBinding(binding, ex.site, now)
	if err != nil {
		return s.fail(w, r, ex, unavailable(err))
	}
	w.Header().Add(setCookie, cookie)
	skipAccessLog(r)
	return s.leave(w, location, attempt, p)
}

// attempt is what the issuer gets to know of a login, the same at its start and its end.
func (s *sessions) attempt(ex *exchange, a *session.Attempt, b *session.Binding) codeflow.Attempt {
	callback := ex.login.RedirectURL
	if callback == "" {
		callback = ex.scheme + "://" + ex.host + s.options.Path + ex.login.callbackPath()
	}
	return codeflow.Attempt{Nonce: b.Nonce(a), Verifier: b.Verifier(a), RedirectURL: callback}
}

// callback ends a login. Nothing is sent anywhere before the state is found to be this browser's.
func (s *sessions) callback(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	ctx, now := r.Context(), ex.Received
	back, fault := readCallback(w, r, ex.login)
	if fault != nil {
		return s.fail(w, r, ex, fault)
	}
	if !ex.placed {
		return s.fail(w, r, ex, errInsecure())
	}
	s.state.ready(ctx)
	binding, err := s.jar.OpenBinding(ctx, ex.cookies, ex.site, now)
	if errors.Is(err, identity.ErrUnavailable) {
		return s.fail(w, r, ex, unavailable(err))
	}
	attempt, verdict, err := s.jar.OpenState(ctx, back.State, binding, ex.site, now)
	switch {
	case err != nil:
		return s.fail(w, r, ex, unavailable(err))
	case verdict == session.StateUnknownKey:
		return s.fail(w, r, ex, s.unknownKey())
	case attempt == nil || attempt.Source != ex.login.Key || attempt.Origin != ex.scheme+"://"+ex.host:
		return s.fail(w, r, ex, malformedCallback(fmt.Errorf("the state is %s, or of another site or issuer", verdict)))
	}
	if _, err := s.returnPath(attempt.Return); err != nil { // it is sealed, and checked all the same
		return s.fail(w, r, ex, malformedCallback(err))
	}
	if _, err := s.prove(ctx, ex, ex.login); err == nil || verdict == session.StateGood && binding.Done(attempt) {
		s.addCookies(w, ex)
		return s.arrive(w, attempt)
	}
	ex.Session = identity.Session{}
	if verdict != session.StateGood {
		return s.again(w, r, ex, attempt, verdict)
	}
	if back.Error != "" {
		return s.fail(w, r, ex, refusedByIssuer(ctx, ex.login, back))
	}
	return s.finish(w, r, ex, back, attempt, binding)
}

// again begins a login again whose state was old, or another browser's. Of the old one only the
// return path counts.
func (s *sessions) again(w http.ResponseWriter, r *http.Request, ex *exchange, attempt *session.Attempt, verdict session.Verdict) error {
	if attempt.Restarts >= session.MaxRestarts {
		return s.fail(w, r, ex, &failure{
			http.StatusBadRequest, "restarts", "Logging in does not work",
			"The browser did not bring back the cookie of this login. Are cookies blocked for this site?",
			fmt.Errorf("the state is %s, after %d restarts: the browser does not keep cookies, or drops them", verdict, attempt.Restarts),
		})
	}
	return s.start(w, r, ex, plan{login: ex.login, to: attempt.Return, restarts: attempt.Restarts + 1, before: attempt})
}

// finish redeems the code, and makes the session.
func (s *sessions) finish(w http.ResponseWriter, r *http.Request, ex *exchange, back *codeflow.Callback, attempt *session.Attempt, binding *session.Binding) error {
	ctx := r.Context()
	l, to := ex.login, s.attempt(ex, attempt, binding)
	tokens, err := l.Provider.Exchange(ctx, back, to)
	if err != nil {
		return s.fail(w, r, ex, notRedeemed(err))
	}
	err = s.verify(ctx, l, tokens.IDToken)
	var token *codeflow.IDToken
	if err == nil {
		token, err = l.Provider.CheckIDToken(tokens.IDToken, to.Nonce, tokens.AccessToken)
	}
	if err != nil {
		return s.fail(w, r, ex, badIDToken(err))
	}
	now := ex.Received
	made := session.New(l.Key, now)
	made.SID, made.Nonce, made.IDToken, made.RefreshToken = token.SessionID, to.Nonce, tokens.IDToken, tokens.RefreshToken
	if l.NoRefresh {
		made.RefreshToken = ""
	}
	made, lines, err := s.keep(ctx, made, ex.site, now)
	if err != nil {
		return s.fail(w, r, ex, s.notSealed(err))
	}
	cookie, err := s.jar.SealBinding(binding.WithFinished(now).WithDone(attempt), ex.site, now)
	if err != nil {
		return s.fail(w, r, ex, unavailable(err))
	}
	s.endReplaced(ctx, ex)
	for _, line := range append(lines, cookie) {
		w.Header().Add(setCookie, line)
	}
	s.measure(lines)
	s.handler.metrics.Logins.WithLabelValues(l.label(), "ok").Inc()
	s.handler.logger.Info("logged in", zap.String("source", l.label()), zap.String("issuer", l.Issuer), zap.String("peer", ex.Peer.String()),
		zap.String("subject", token.Subject), zap.String("session", shortID(made.ID)), zap.Bool("refreshable", made.RefreshToken != ""))
	return s.arrive(w, attempt)
}

// refusedByIssuer is an error that the issuer sent instead of a code.
func refusedByIssuer(ctx context.Context, l *login, back *codeflow.Callback) *failure {
	if err := l.Provider.CheckIssuer(ctx, back); err != nil {
		return notRedeemed(err)
	}
	f := &failure{
		http.StatusBadGateway, "issuer_error", "Logging in did not work", "The login service refused the login.",
		fmt.Errorf("the issuer answered %s: %s", back.Error, back.Description),
	}
	switch back.Error { //nolint:exhaustive // the others have no answer of their own
	case codeflow.CodeAccessDenied:
		f.status, f.word, f.text = http.StatusForbidden, "denied", "The login service did not let you in, or the login was canceled."
	case codeflow.CodeLoginRequired, codeflow.CodeUnavailable, codeflow.CodeServerError:
		f.status, f.word, f.text = http.StatusServiceUnavailable, "unavailable", "The login service cannot log you in now."
	}
	return f
}
