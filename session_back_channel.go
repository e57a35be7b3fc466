// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

const (
	// backChannelPath is where an issuer sends logout tokens.
	backChannelPath = "/back-channel"

	// maxBackChannel is how much of a body is read: one byte more than is accepted.
	maxBackChannel = 64<<10 + 1

	// bodyTime is how long a client may take to send a form. Anyone can begin a request.
	bodyTime = 10 * time.Second
)

// backChannel ends sessions that the issuer has ended (OpenID Connect Back-Channel Logout 1.0,
// section 2.5). A server asks, and not a browser: no cookie counts, nor which page asked; all
// that counts is the signed token. The answer does not say what is wrong, nor whether there was
// a session.
func (s *sessions) backChannel(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	w.Header().Set("Cache-Control", "no-store") // section 2.8
	err := s.endFromIssuer(w, r, ex)
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	status, content := http.StatusBadRequest, `{"error":"invalid_request"}`
	if !errors.Is(err, identity.ErrMalformed) && !errors.Is(err, identity.ErrRejected) {
		status, content = http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`
		w.Header().Set("Retry-After", "5")
	}
	s.handler.logger.Warn("logout refused", zap.String("kind", "back_channel"), zap.String("peer", ex.Peer.String()),
		zap.String("reason", err.Error()), zap.Int("status", status))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, content+"\n") // an error here is about the client's connection
	return nil
}

// endFromIssuer reads the request, and asks the login whose issuer and client the token names.
func (s *sessions) endFromIssuer(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	raw, err := readLogout(w, r)
	if err != nil {
		return err
	}
	l, by, err := s.endAtLogin(r.Context(), raw)
	if err != nil {
		return err
	}
	s.handler.metrics.Logouts.WithLabelValues("back_channel").Inc()
	s.handler.logger.Info("logged out", zap.String("source", l.label()), zap.String("issuer", l.Issuer), zap.String("kind", "back_channel"),
		zap.String("peer", ex.Peer.String()), zap.String("by", by))
	return nil
}

// readLogout reads the logout token of a request. The errors wrap [identity.ErrMalformed].
func readLogout(w http.ResponseWriter, r *http.Request) (string, error) {
	method, _ := asItCame(r)
	kinds := r.Header["Content-Type"]
	if method != http.MethodPost || len(kinds) != 1 {
		return "", notAForm(fmt.Errorf("the method is %s, with %d content types", identity.Quote(method), len(kinds)))
	}
	kind, _, err := mime.ParseMediaType(kinds[0])
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", notAForm(fmt.Errorf("the content type is %s", identity.Quote(kinds[0])))
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // not all writers can
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBackChannel))
	if err != nil {
		return "", notAForm(err)
	}
	return codeflow.ParseLogoutForm(string(body))
}

func notAForm(err error) error {
	return fmt.Errorf("%w: the request is not a form that an issuer posts: %w", identity.ErrMalformed, err)
}

// endAtLogin finds the login whose issuer and client a logout token names. Each of them judges it
// by its own keys; a login that could not be asked decides about the answer.
func (s *sessions) endAtLogin(ctx context.Context, raw string) (l *login, by string, err error) {
	for _, l := range s.logins {
		by, failed := s.endByToken(ctx, l.Login, raw)
		if failed == nil {
			return l, by, nil
		}
		if err == nil || !errors.Is(failed, identity.ErrMalformed) && !errors.Is(failed, identity.ErrRejected) {
			err = failed
		}
	}
	return nil, "", err
}

// endByToken ends the sessions that a logout token of a login names, and says by which of its
// names.
func (s *sessions) endByToken(ctx context.Context, login *guest.Login, raw string) (by string, err error) {
	if login.Logout == nil {
		return "", fmt.Errorf("%w: the source does not verify logout tokens", identity.ErrInternal)
	}
	token, err := login.Logout.Verify(ctx, raw)
	if err != nil {
		return "", err
	}
	if err := s.state.replays.Use(token); err != nil {
		return "", err
	}
	denial, by := s.denialOf(token, time.Now())
	if err := s.state.denied.Deny(ctx, denial); err != nil {
		s.state.replays.Release(token) // the issuer may send it again
		return "", fmt.Errorf("%w: %w", identity.ErrUnavailable, err)
	}
	return by, nil
}

// denialOf is of the sessions that the issuer knows by the token's sid, or of those of its
// subject that were made before it: the user may have logged in again since, by a clock that is
// behind the issuer's. It lasts as long as the latest of these sessions may.
func (s *sessions) denialOf(token *codeflow.LogoutToken, now time.Time) (denial session.Denial, by string) {
	if token.SessionID != "" {
		return session.DenySID(token.Issuer, token.SessionID, now.Add(s.limits.Lifetime)), "sid"
	}
	before := token.IssuedAt
	if before.After(now) {
		before = now
	}
	return session.DenySubject(token.Issuer, token.Subject, before, before.Add(s.limits.Lifetime+time.Second)), "sub"
}
