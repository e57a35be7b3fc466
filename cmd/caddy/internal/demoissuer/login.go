// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
)

// maxForm is how long a form may be, in bytes.
const maxForm = 16 << 10

// cookieName has the port: browsers send the cookies of one port to all ports of a host.
func (h *Handler) cookieName() string {
	if _, port, err := net.SplitHostPort(h.host); err == nil {
		return "demo_issuer_" + port
	}
	return "demo_issuer"
}

// cookie is the session's, or empty. Of two, one may be planted, and neither is believed.
func (h *Handler) cookie(r *http.Request) string {
	found := r.CookiesNamed(h.cookieName())
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

func (h *Handler) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Safari does not keep a Secure cookie of plain http, not even for loopback
		Name: h.cookieName(), Value: value, Path: prefix, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// isOwnForm says whether a form comes from a page of this issuer: a page of another site must not
// log a user in or out (CSRF). Clients other than browsers pass, for they act for no user.
func isOwnForm(w http.ResponseWriter, r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) != nil {
		showProblem(w, http.StatusForbidden, "The form was sent by a page of another site.")
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		showProblem(w, http.StatusBadRequest, "The form cannot be read, or is too long.")
		return false
	}
	return true
}

// serveLogin answers the login form.
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request, earlier session, asked authorization) {
	if !isOwnForm(w, r) {
		return
	}
	by, ok := findUser(r.PostForm.Get("user"), r.PostForm.Get("password"))
	if !ok {
		h.showLogin(w, http.StatusForbidden, asked, "The name or the password is not one of those below.")
		return
	}
	begun := h.state.login(earlier, by)
	h.setCookie(w, begun.id+"."+begun.secret, int(sessionLife.Seconds()))
	h.logger.Info("a user has logged in", zap.String("user", by.name))
	h.sendBack(w, asked, url.Values{"code": {h.state.newCode(begun, asked)}})
}

func (h *Handler) showLogin(w http.ResponseWriter, status int, asked authorization, problem string) {
	target, err := url.Parse(asked.redirect)
	if err != nil { // checked when the configuration was loaded
		showProblem(w, http.StatusInternalServerError, "The redirect_uri cannot be read.")
		return
	}
	page := loginPage{
		Client: h.ClientID, Host: target.Host, Problem: problem,
		Cancel: h.callback(asked, url.Values{"error": {"access_denied"}}),
	}
	for _, one := range users() {
		page.Users = append(page.Users, loginUser{one.name, one.password, strings.Join(one.groups, ", ")})
	}
	show(w, status, "login", page, asked.redirect)
}
