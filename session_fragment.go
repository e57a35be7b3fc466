// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// leave sends the browser to the issuer: with a redirect, or with a page whose script puts the
// fragment of the address aside. That page takes the place of another one, so it is a 401 then:
// a service worker must not keep it as that one.
func (s *sessions) leave(w http.ResponseWriter, location string, a *session.Attempt, p plan) error {
	if !s.options.KeepFragment {
		return s.redirect(w, location)
	}
	hop := &browser.Hop{Title: "Logging in", URL: location, Attempt: a.ID}
	if p.before != nil {
		hop.Before = p.before.ID
	}
	status := http.StatusOK
	if p.instead {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer") // another scheme of the option challenge could open a dialog
	}
	return s.write(w, status, hop.Write(w.Header()))
}

// arrive sends the browser to where it wanted to go before the login: with a redirect, or with a
// page whose script puts the fragment back.
func (s *sessions) arrive(w http.ResponseWriter, a *session.Attempt) error {
	if location := a.Origin + a.Return; !s.options.KeepFragment {
		return s.redirect(w, location)
	}
	hop := &browser.Hop{Title: "Logged in", URL: a.Origin + a.Return, Attempt: a.ID, Arrives: true}
	return s.write(w, http.StatusOK, hop.Write(w.Header()))
}
