// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// explainLogins says how browsers log in at the address of a request; nil if they do not. The
// sources must be the handler's own yet.
func (h *Handler) explainLogins(r *http.Request) *command.LoginReport {
	if h.sessions == nil {
		return nil
	}
	s := h.Session
	report := &command.LoginReport{Lifetime: time.Duration(s.Lifetime), Idle: time.Duration(s.IdleTimeout)}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	site := scheme + "://" + r.Host
	for _, l := range h.sessions.logins {
		login := command.LoginIssuer{
			Source: l.label(), Issuer: l.Issuer, NoRefresh: l.NoRefresh,
			Callback: cmp.Or(l.RedirectURL, site+s.Path+l.callbackPath()),
		}
		if own, _, found := strings.Cut(l.RedirectURL, s.Path+l.callbackPath()); found {
			site = own
		}
		if detailer, ok := l.src.Source.(guest.LoginDetailer); ok {
			details := detailer.LoginDetails()
			login.ClientID, login.Scopes = details.ClientID, details.Scopes
		}
		if len(login.Scopes) == 0 {
			login.Scopes = []string{"openid", "profile", "email"}
		}
		report.Logins = append(report.Logins, login)
	}
	report.PostLogout = cmp.Or(s.PostLogoutURL, s.Path+logoutPath)
	if strings.HasPrefix(report.PostLogout, "/") {
		report.PostLogout = site + report.PostLogout
	}
	if s.BackChannelLogout {
		report.BackChannel = site + s.Path + backChannelPath
	}
	report.Stored = s.stored
	report.Cookies = h.sessions.jar.Names(strings.HasPrefix(site, "https:"))
	report.Keys, report.Shared = h.explainKeys()
	report.KeyFile = h.Session.KeyFile != ""
	return report
}

// explainKeys says where the keys of the session's cookies are, and whether several machines can share
// what the storage has: the keys, the logouts and, with the option store, the sessions. It names no
// storage except a folder: the address of another one may have a password in it.
func (h *Handler) explainKeys() (where string, shared bool) {
	if h.Session.KeyFile != "" {
		return "in the file " + h.Session.KeyFile, !h.storesInFolder()
	}
	if folder, ok := h.membership.storage.(*certmagic.FileStorage); ok {
		return fmt.Sprintf("in Caddy's storage, the folder %s", folder.Path), false
	}
	return "in Caddy's storage", true
}

// storesInFolder says whether the storage is a folder, which other machines may not have.
func (h *Handler) storesInFolder() bool {
	_, ok := h.membership.storage.(*certmagic.FileStorage)
	return ok
}
