// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"errors"
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
	serve, methods := s.page(ex, strings.TrimPrefix(asked.EscapedPath(), s.options.Path))
	if serve == nil && asked.RawQuery != "" { // a callback of another spelling, or of a login that has another path now
		ex.direct = true
		skipAccessLog(r)
	}
	if serve == nil {
		return s.showError(w, r, ex, http.StatusNotFound, "there is no such page of the session's", &browser.Page{Title: "Not found", Text: []string{"There is no such page."}})
	}
	if ex.direct {
		skipAccessLog(r) // Caddy has copied the request for its access log, with the code in its query
	}
	if methods == nil || slices.Contains(methods, method) {
		return serve(w, r, ex)
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return s.showError(w, r, ex, http.StatusMethodNotAllowed, "a method that the session's page does not take", &browser.Page{Title: "Not possible", Text: []string{"This page cannot be asked for in this way."}})
}

// refuse answers a request for one of the session's own paths that has a shape in which none is
// taken: a callback in early data, say. Its address may have a code, which Caddy logs with an
// error, and error routes may print.
func (s *sessions) refuse(w http.ResponseWriter, r *http.Request, ex *exchange, err error) error {
	skipAccessLog(r)
	refused := s.handler.refuse(w, r, ex, nil, err)
	if as, ok := errors.AsType[caddyhttp.HandlerError](refused); ok {
		w.WriteHeader(as.StatusCode)
		return nil
	}
	return refused
}

// ownPage answers a request for one of the session's own paths.
type ownPage func(http.ResponseWriter, *http.Request, *exchange) error

// page finds a page by the rest of its path, and the login that it is about. Its methods are
// beside it.
func (s *sessions) page(ex *exchange, rest string) (serve ownPage, methods []string) {
	get, reads := []string{http.MethodGet}, []string{http.MethodGet, http.MethodHead}
	switch rest {
	case logoutPath:
		return s.logout, append(reads, http.MethodPost)
	case backChannelPath:
		if s.options.BackChannelLogout {
			return s.backChannel, nil // it answers other methods itself
		}
	case statusPath:
		return s.status, reads
	case loginPath:
		if len(s.logins) == 1 {
			ex.login = s.logins[0]
		}
		return s.loginPage, get
	}
	for _, l := range s.logins {
		switch rest {
		case l.callbackPath():
			ex.login, ex.direct = l, true
			return s.callback, callbackMethods(l)
		case l.below(loginPath):
			ex.login = l
			return s.loginPage, get
		}
	}
	return nil, nil
}

// show answers with a page of the handler's own.
func (s *sessions) show(w http.ResponseWriter, status int, page *browser.Page) error {
	return s.write(w, status, page.Write(w.Header()))
}

// showError is show for a status that the operator's error routes may answer instead. The reason
// is for them, unless they know it already.
func (s *sessions) showError(w http.ResponseWriter, r *http.Request, ex *exchange, status int, reason string, page *browser.Page) error {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer") // another scheme of the option challenge could open a dialog
	}
	if reason != "" {
		tell(r, "none", reason, "")
	}
	// Error routes often print the message to the client.
	if refused := caddyhttp.Error(status, errors.New(page.Title)); !ex.direct && s.handler.hasErrorRoute(r, refused) {
		w.Header().Set("Cache-Control", "no-store")
		return refused
	}
	return s.show(w, status, page)
}

func (*sessions) write(w http.ResponseWriter, status int, content []byte) error {
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
	source, issuer := "none", zap.Skip()
	if ex.login != nil {
		source, issuer = ex.login.label(), zap.String("issuer", ex.login.Issuer)
	}
	s.handler.metrics.Logins.WithLabelValues(source, f.word).Inc()
	tell(r, source, f.err.Error(), f.word)
	level := s.handler.logger.Warn
	if f.status >= http.StatusInternalServerError {
		level = s.handler.logger.Error
		w.Header().Set("Retry-After", "5")
	}
	level("login failed", zap.String("source", source), issuer, zap.String("peer", ex.Peer.String()),
		zap.String("result", f.word), zap.Error(f.err), zap.Int("status", f.status))
	return s.showError(w, r, ex, f.status, "", &browser.Page{
		Title: f.title, Text: []string{f.text}, Links: []browser.Link{{URL: s.options.Path + loginPath, Text: "Log in again"}},
	})
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
		if id, err = s.prove(r.Context(), ex, nil); err == nil {
			return s.writeSession(w, ex, id)
		}
	}
	writeStatus(w, resultOf(err), err)
	return nil
}

func (s *sessions) writeSession(w http.ResponseWriter, ex *exchange, id *identity.Identity) error {
	s.addCookies(w, ex)
	who, err := s.handler.settle(ex.use.login.src, id)
	if err != nil {
		writeStatus(w, resultOf(err), err)
		return nil
	}
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
