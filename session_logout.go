// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// openAny opens the session of a request, also if its token proves nothing any more.
func (s *sessions) openAny(ctx context.Context, ex *exchange) (*session.Session, error) {
	if !ex.placed {
		return nil, session.ErrNoCookie
	}
	ready := s.state.isReady()
	found, err := s.state.keeper.Open(ctx, ex.cookies, ex.site, ex.Received)
	if ready || errors.Is(err, session.ErrNoCookie) {
		return found, err
	}
	s.state.ready(ctx)
	if errors.Is(err, identity.ErrUnavailable) {
		return s.state.keeper.Open(ctx, ex.cookies, ex.site, ex.Received)
	}
	return found, err
}

// logout shows a form, and logs out when that is posted. A GET changes nothing: any page can make
// a browser send one.
func (s *sessions) logout(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	found, err := s.openAny(r.Context(), ex)
	method, _ := asItCame(r)
	switch {
	case errors.Is(err, identity.ErrUnavailable): // nobody may believe to be logged out
		return s.logoutUnavailable(w, r, ex, err)
	case method != http.MethodPost:
		return s.logoutPage(w, r, found)
	}
	if !browser.ProvesSameOrigin(ex.browser(r)) {
		const reason = "the request does not say that a page of this site sent it"
		s.handler.logger.Warn("logout refused", zap.String("peer", ex.Peer.String()), zap.String("reason", reason))
		return s.showError(w, r, ex, http.StatusForbidden, reason, &browser.Page{
			Title: "Not logged out", Text: []string{"The page that asked for this is not one of this site."},
			Links: []browser.Link{{URL: s.options.Path + logoutPath, Text: "Log out"}},
		})
	}
	s.endCookies(w, ex)
	after := s.afterLogout(ex)
	if err != nil {
		return s.redirect(w, after)
	}
	s.end(r.Context(), found, "user")
	l := s.logins.of(found.Source)
	if l == nil {
		return s.redirect(w, after)
	}
	s.revoke(r.Context(), l, found)
	location, err := l.Provider.LogoutURL(r.Context(), codeflow.Logout{IDToken: found.IDToken, RedirectURL: after})
	if err != nil {
		s.handler.logger.Warn("the login at the issuer stays", zap.String("source", l.label()), zap.Error(err))
	}
	if location == "" {
		location = after
	}
	skipAccessLog(r)
	return s.redirect(w, location)
}

// logoutUnavailable is for a session that is in the storage, which is out of reach.
func (s *sessions) logoutUnavailable(w http.ResponseWriter, r *http.Request, ex *exchange, err error) error {
	s.handler.logger.Error("logout refused", zap.String("kind", "user"), zap.String("peer", ex.Peer.String()),
		zap.String("reason", err.Error()), zap.Int("status", http.StatusServiceUnavailable))
	w.Header().Set("Retry-After", "5")
	return s.showError(w, r, ex, http.StatusServiceUnavailable, err.Error(), &browser.Page{
		Title: "Not logged out", Text: []string{"Logging out is not possible now. Please try again in a moment."},
		Links: []browser.Link{{URL: s.options.Path + logoutPath, Text: "Log out"}},
	})
}

func (s *sessions) logoutPage(w http.ResponseWriter, r *http.Request, found *session.Session) error {
	if found == nil {
		return s.show(w, http.StatusOK, &browser.Page{
			Title: "You are logged out", Links: []browser.Link{{URL: s.options.Path + loginPath, Text: "Log in"}},
		})
	}
	page := &browser.Page{Title: "Log out?", Action: s.options.Path + logoutPath, Button: "Log out"}
	if l := s.logins.of(found.Source); l != nil {
		if known, err := l.Provider.Metadata(r.Context()); err == nil && known.EndSessionURL != "" {
			page.Targets = append(page.Targets, codeflow.Origin(known.EndSessionURL))
		}
	}
	if origin := originOf(s.options.PostLogoutURL); origin != "" {
		page.Targets = append(page.Targets, origin)
	}
	return s.show(w, http.StatusOK, page)
}

// originOf is empty for a path.
func originOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return ""
	}
	return parsed.Scheme + "://" + parsed.Host
}

// afterLogout is where the browser comes to.
func (s *sessions) afterLogout(ex *exchange) string {
	to := s.options.PostLogoutURL
	if to == "" {
		to = s.options.Path + logoutPath
	}
	if strings.HasPrefix(to, "/") {
		return ex.scheme + "://" + ex.host + to
	}
	return to
}

// end ends a session here: copies of its cookie, its streams, and its ID token as a bearer token.
func (s *sessions) end(ctx context.Context, found *session.Session, kind string) {
	now := time.Now()
	err := s.remove(ctx, found)
	if claims, ok := readClaims(found.IDToken); ok && kind == "user" {
		err = errors.Join(err, s.state.denied.Deny(ctx, session.DenyToken(found.IDToken, claims.expires.Add(time.Hour))))
	}
	if err != nil {
		s.handler.logger.Warn("a logout is not in the storage yet, which tells other instances", zap.Error(err))
	}
	s.handler.metrics.Logouts.WithLabelValues(kind).Inc()
	s.handler.logger.Info("logged out", zap.String("source", s.logins.label(found.Source)), zap.String("kind", kind),
		zap.String("session", shortID(found.ID)), zap.Duration("age", now.Sub(found.Created).Round(time.Second)))
}

// revoke asks the issuer to end the grant, without waiting for that.
func (s *sessions) revoke(ctx context.Context, l *login, found *session.Session) {
	if found.RefreshToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	go func() {
		defer cancel()
		if _, err := l.Provider.Revoke(ctx, found.RefreshToken); err != nil {
			s.handler.logger.Warn("the refresh token was not revoked", zap.String("source", l.label()), zap.Error(err))
		}
	}()
}

// endCookies deletes the session's cookies in the browser.
func (s *sessions) endCookies(w http.ResponseWriter, ex *exchange) {
	for _, line := range s.state.keeper.End(ex.cookies, ex.site) {
		w.Header().Add(setCookie, line)
	}
}

// addCookies writes the cookies of a session that was refreshed or used.
func (s *sessions) addCookies(w http.ResponseWriter, ex *exchange) {
	if ex.use != nil {
		ex.use.addTo(w.Header())
	}
}

// measure observes how large the cookies are.
func (s *sessions) measure(lines []string) {
	size := 0
	for _, line := range lines {
		pair, _, _ := strings.Cut(line, ";")
		size += len(pair)
	}
	s.handler.metrics.SessionBytes.Observe(float64(size))
}

// useWithin is how soon after its request a response may write down that a session was used:
// while all refreshes since are still known ([session.Refresher.Newest]).
const useWithin = 30 * time.Second

// addTo adds the cookies to a response whose cookies of the same names were stripped, and says
// whether there were any: no cache may give them to another browser.
func (u *sessionUse) addTo(header http.Header) (added bool) {
	now, s := time.Now(), u.session
	fresh := u.fresh
	if u.flight != nil {
		if refreshed := u.flight.Poll(); refreshed != nil {
			s, fresh = refreshed, true
		}
	} else {
		fresh = fresh || u.of.limits.UseDue(s, now) && now.Sub(u.since) < useWithin
	}
	added = u.seen(header, now)
	if !fresh || u.of.state.denied.Check(u.facts, now) != nil { // logged out meanwhile
		return added
	}
	s = u.of.state.refreshers[u.login.Key].Newest(s)
	lines, err := u.of.state.keeper.Seal(s.WithUse(now), u.site, now)
	if err != nil {
		u.of.handler.logger.Error("the cookie of a session could not be written", zap.String("session", shortID(s.ID)), zap.Error(err))
		return added
	}
	u.of.measure(lines)
	header[setCookie] = append(header[setCookie], lines...)
	return true
}

// seen tells the binding that the last login has worked.
func (u *sessionUse) seen(header http.Header, now time.Time) (added bool) {
	if u.binding == nil {
		return false
	}
	if quiet, changed := u.binding.WithSession(); changed {
		if line, err := u.of.jar.SealBinding(quiet, u.site, now); err == nil {
			header[setCookie] = append(header[setCookie], line)
			added = true
		}
	}
	return added
}
