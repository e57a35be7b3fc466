// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// The session's own paths, below the option path.
const (
	callbackPath = "/callback"
	loginPath    = "/login"
	logoutPath   = "/logout"
	statusPath   = "/session"
)

// owns says whether a request is for one of the session's own paths, in any encoding: these are
// never forwarded. A path counts as the browser knows it, and as handlers before this one have
// rewritten it.
func (s *sessions) owns(r *http.Request) bool {
	_, asked := asItCame(r)
	return s.isOwn(asked.Path) || s.isOwn(r.URL.Path) || s.isOwn(asked.RawPath)
}

// isOwn decodes a path again, as an upstream may.
func (s *sessions) isOwn(decoded string) bool {
	own := strings.ToLower(s.options.Path)
	for range 4 {
		clean := strings.ToLower(path.Clean("/" + strings.ReplaceAll(decoded, `\`, "/")))
		if clean == own || strings.HasPrefix(clean, own+"/") {
			return true
		}
		again, err := url.PathUnescape(decoded)
		if err != nil || again == decoded {
			return false
		}
		decoded = again
	}
	return false
}

// serve answers a request for one of the session's own paths. Only their exact spelling is a page.
func (s *sessions) serve(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	method, asked := asItCame(r)
	serve, methods := s.notFound, []string{method}
	switch asked.EscapedPath() {
	case s.options.Path + callbackPath:
		// Caddy has copied the request for its access log, with the code in its query.
		ex.direct = true
		skipAccessLog(r)
		serve, methods = s.callback, []string{http.MethodGet}
	case s.options.Path + loginPath:
		serve, methods = s.loginPage, []string{http.MethodGet}
	case s.options.Path + logoutPath:
		serve, methods = s.logout, []string{http.MethodGet, http.MethodHead, http.MethodPost}
	case s.options.Path + backChannelPath:
		if s.options.BackChannelLogout {
			serve = s.backChannel
		}
	case s.options.Path + statusPath:
		serve, methods = s.status, []string{http.MethodGet, http.MethodHead}
	}
	if slices.Contains(methods, method) {
		return serve(w, r, ex)
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return s.show(w, http.StatusMethodNotAllowed, &browser.Page{Title: "Not possible", Text: []string{"This page cannot be asked for in this way."}})
}

func (s *sessions) notFound(w http.ResponseWriter, _ *http.Request, _ *exchange) error {
	return s.show(w, http.StatusNotFound, &browser.Page{Title: "Not found", Text: []string{"There is no such page."}})
}

// show answers with a page of the handler's own.
func (s *sessions) show(w http.ResponseWriter, status int, page *browser.Page) error {
	content := page.Write(w.Header())
	w.WriteHeader(status)
	_, _ = w.Write(content) // an error here is about the client's connection
	return nil
}

// skipAccessLog keeps a request out of the access log. Caddy copies the request before any
// handler, with its query, and logs Location as it is: there are codes, states and hints in
// these. The handler's own lines tell of the request.
func skipAccessLog(r *http.Request) { caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true) }

// redirect sends the browser on, with a GET whatever the method was.
func (s *sessions) redirect(w http.ResponseWriter, location string) error {
	header := w.Header()
	header.Set("Location", location)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// failure is why a browser cannot log in, for the page, the log and the metric.
type failure struct {
	status int
	word   string // for the metric
	title  string
	text   string
	err    error // for the log
}

// fail ends a login with a page that says what the user can do. The log says why.
func (s *sessions) fail(w http.ResponseWriter, r *http.Request, ex *exchange, f *failure) error {
	s.handler.metrics.Logins.WithLabelValues(s.src.name, f.word).Inc()
	level := s.handler.logger.Warn
	if f.status >= http.StatusInternalServerError {
		level = s.handler.logger.Error
		w.Header().Set("Retry-After", "5")
	}
	level("login failed", zap.String("source", s.src.name), zap.String("peer", ex.Peer.String()),
		zap.String("result", f.word), zap.Error(f.err), zap.Int("status", f.status))
	// Error routes often print the message to the client.
	if refused := caddyhttp.Error(f.status, errors.New(f.title)); !ex.direct && s.handler.hasErrorRoute(r, refused) {
		w.Header().Set("Cache-Control", "no-store")
		return refused
	}
	return s.show(w, f.status, &browser.Page{
		Title: f.title, Text: []string{f.text}, Links: []browser.Link{{URL: s.options.Path + loginPath, Text: "Log in again"}},
	})
}

// loginPage is an explicit start, where a page of the operator's links to it, or one of ours.
// Its only parameters are where to go afterwards, on this site, and whether to be somebody else.
func (s *sessions) loginPage(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	_, asked := asItCame(r)
	query, err := url.ParseQuery(asked.RawQuery)
	to := "/"
	if err == nil && query.Has("to") {
		to, err = s.returnPath(query.Get("to"))
	}
	if len(query["to"]) > 1 {
		err = errors.New("it is there twice")
	}
	if err != nil {
		return s.fail(w, r, ex, &failure{
			http.StatusBadRequest, "malformed", "The link is not good", "The page to return to is not one of this site.",
			fmt.Errorf("the parameter to: %w", err),
		})
	}
	if !browser.StartsLogin(ex.browser(r)) {
		return s.show(w, http.StatusUnauthorized, s.loginLink())
	}
	if query.Has("switch") && browser.ProvesSameOrigin(ex.browser(r)) {
		if found, err := s.openAny(r.Context(), ex); err == nil {
			s.end(r.Context(), found, "switch")
		}
		return s.start(w, r, ex, plan{to: to, prompt: "select_account"})
	}
	if _, err := s.prove(r.Context(), ex); err == nil {
		s.addCookies(w, ex)
		return s.redirect(w, ex.scheme+"://"+ex.host+to)
	}
	ex.Session = identity.Session{}
	return s.start(w, r, ex, plan{to: to})
}

// loginLink is for a request that may not be redirected to the issuer.
func (s *sessions) loginLink() *browser.Page {
	return &browser.Page{
		Title: "Please log in", Text: []string{"This page is for users who are logged in."}, Framed: true,
		Links: []browser.Link{{URL: s.options.Path + loginPath, Text: "Log in"}},
	}
}

// forbidden is for a user who is logged in, and whom the policy refuses.
func (s *sessions) forbidden() *browser.Page {
	return &browser.Page{
		Title: "Not allowed", Text: []string{"You are logged in, but this user may not open this page."}, Framed: true,
		Links: []browser.Link{
			{URL: s.options.Path + loginPath + "?switch=1", Text: "Log in as somebody else"},
			{URL: s.options.Path + logoutPath, Text: "Log out"},
		},
	}
}

// status is the session as JSON, for a page of this site.
func (s *sessions) status(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Cookie")
	err := identity.ErrForbidden
	if !browser.IsCrossSite(ex.browser(r)) {
		var id *identity.Identity
		if id, err = s.prove(r.Context(), ex); err == nil {
			return s.writeSession(w, ex, id)
		}
	}
	writeStatus(w, resultOf(err), err)
	return nil
}

func (s *sessions) writeSession(w http.ResponseWriter, ex *exchange, id *identity.Identity) error {
	who, err := s.handler.settle(s.src, id)
	if err != nil {
		writeStatus(w, resultOf(err), err)
		return nil
	}
	s.addCookies(w, ex)
	content, err := json.Marshal(map[string]any{
		"user": who.Username, "groups": append([]string{}, who.Groups...),
		"expires": s.limits.End(ex.use.session).UTC().Format(time.RFC3339),
	})
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(content, '\n')) // an error here is about the client's connection
	return nil
}
