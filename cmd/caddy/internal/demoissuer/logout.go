// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net/http"
	"net/url"
	"slices"

	"go.uber.org/zap"
)

// serveLogout ends the browser's session here (OpenID Connect RP-Initiated Logout 1.0, section
// 2). A hint that names this very session ends it at once. Without one, or with a hint from
// before a restart, the user is asked, for any page can send a browser here. Clients use GET: a
// form of another site would not carry the session's cookie, and is refused.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request) {
	values, ok := readQuery(r)
	target := values.Get("post_logout_redirect_uri")
	switch {
	case !ok:
		showProblem(w, http.StatusBadRequest, "The request cannot be read, is too long, or has a parameter twice.")
		return
	case values.Get("client_id") != "" && values.Get("client_id") != h.ClientID:
		showProblem(w, http.StatusBadRequest, "The client_id is not the configured one.")
		return
	case target != "" && !slices.Contains(h.PostLogoutURLs, target):
		showProblem(w, http.StatusBadRequest, "The post_logout_redirect_uri is not one of the configured ones.")
		return
	case r.Method == http.MethodPost && !isOwnForm(w, r):
		return
	}
	ends := h.hintedSession(values.Get("id_token_hint"))
	current, isIn := h.state.current(h.cookie(r))
	if isIn && r.Method != http.MethodPost && current.id != ends {
		show(w, http.StatusOK, "logout", current.user.name, target)
		return
	}
	if isIn {
		ends = current.id
		h.logger.Info("a user has logged out", zap.String("user", current.user.name))
	}
	h.state.logout(ends)
	h.setCookie(w, "", -1)
	if target == "" {
		show(w, http.StatusOK, "out", nil, "")
		return
	}
	w.Header().Set("Location", withQuery(target, values.Get("state"), url.Values{}))
	w.WriteHeader(http.StatusSeeOther)
}

// hintedSession is the session of an ID token of this issuer, expired or not, or empty.
func (h *Handler) hintedSession(hint string) string {
	var of claims
	if hint == "" || !h.state.keys.verify(hint, &of) || of.Issuer != h.URL || of.Audience != h.ClientID {
		return ""
	}
	return of.Session
}
