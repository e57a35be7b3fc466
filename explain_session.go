// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// explainSession says what the session cookies of a request are worth, and nothing that they
// hold. The sources must be the handler's own yet. From then on the handler refreshes no
// session: a refresh token counts once, and the browser would lose its session to check.
func (h *Handler) explainSession(r *http.Request, peer identity.Peer) *command.SessionReport {
	if h.sessions == nil {
		return nil
	}
	s, report := h.sessions, new(command.SessionReport)
	refreshes := make(map[*login]bool)
	for _, l := range s.logins {
		refreshes[l], l.NoRefresh = !l.NoRefresh, true
	}
	ex := h.explainedExchange(r, peer)
	report.Explicit = h.isExplicit(ex.Stripped)
	report.NotPlaced = !ex.placed
	s.explainCookies(r, ex, report, refreshes)
	if s.owns(r) {
		report.Own = s.explainPage(r, ex, report)
	}
	return report
}

// explainCookies opens the session of a request.
func (s *sessions) explainCookies(r *http.Request, ex *exchange, report *command.SessionReport, refreshes map[*login]bool) {
	found, err := s.openAny(r.Context(), ex)
	switch {
	case errors.Is(err, session.ErrNoCookie) && len(s.ownCookies(r)) == 0:
	case errors.Is(err, session.ErrNoCookie):
		report.Present = true
		report.Err = errors.New("of its cookies only that of a login which has not ended is there, or one with another prefix than this site's")
	case err != nil:
		report.Present, report.Err = true, err
	default:
		report.Present = true
		s.explainFound(r.Context(), report, ex, found, refreshes)
	}
}

// ownCookies are the names of the session's cookies in a request.
func (s *sessions) ownCookies(r *http.Request) []string {
	var names []string
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if name := identity.CookieName(pair); s.jar.Owns(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// explainFound says until when a session lives, and whether it would be refreshed.
func (s *sessions) explainFound(ctx context.Context, report *command.SessionReport, ex *exchange, found *session.Session, refreshes map[*login]bool) {
	report.Begun, report.Ends = found.Created, s.limits.End(found)
	if s.limits.Idle > 0 {
		report.IdleEnds = found.Used.Add(s.limits.Idle)
	}
	l := s.logins.of(found.Source)
	if l == nil {
		report.Err = errors.New("it was begun at another issuer, or by another client")
		return
	}
	report.Source, report.Issuer = l.label(), l.Issuer
	id, claims, err := s.verdict(ctx, ex, l, found.IDToken)
	switch {
	case claims == nil:
		report.Err = err
		return
	case s.state.denied.Check(s.limits.Facts(found, l.Issuer, claims.subject), ex.Received) != nil:
		report.Err = session.ErrDenied
		return
	}
	report.TokenEnds = claims.expires
	end := claims.expires
	if id != nil {
		end = l.src.end(id)
	}
	report.CanRefresh = found.RefreshToken != "" && refreshes[l]
	ended := !ex.Received.Before(end)
	if err != nil && (!ended || !report.CanRefresh) {
		report.Err = err
	}
	report.MustRefresh = ended && report.CanRefresh
	report.WouldRefresh = report.MustRefresh || report.CanRefresh && s.state.refreshers[l.Key].Due(found, claims.issued, claims.expires, ex.Received)
}
