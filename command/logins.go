// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
	"time"
)

// LoginReport is how browsers log in at one handler. It has no secret.
type LoginReport struct {
	// Logins are the issuers, in the order of their sources.
	Logins []LoginIssuer

	// PostLogout is the URL to which a browser comes after a logout.
	PostLogout string

	// BackChannel is the URL for the issuer's logout tokens; empty if they are not taken.
	BackChannel string

	// Cookies are the names of the cookies.
	Cookies []string

	// Stored says that the sessions are in the storage, and tickets in the cookies.
	Stored bool

	// Keys says where the keys are, and KeyFile that it is a file of the operator's. Shared says that
	// several machines can have the storage in common, which has the keys otherwise, and the logouts.
	Keys            string
	KeyFile, Shared bool

	Lifetime, Idle time.Duration
}

// LoginIssuer is one of the issuers at which browsers log in.
type LoginIssuer struct {
	Source, Issuer, ClientID string

	// Callback is the redirect URI.
	Callback string

	// Scopes are those that are asked for. NoRefresh says that refresh tokens are not used.
	Scopes    []string
	NoRefresh bool
}

// logins prints what to register at the issuer, and what may be missing.
func (p *printer) logins(report *LoginReport) {
	if report == nil {
		return
	}
	p.section("logins")
	for _, login := range report.Logins {
		p.line("  %s: the client %q of %s", login.Source, login.ClientID, login.Issuer)
		p.line("    register there: the redirect URI %s", login.Callback)
		p.line("                    the URL for after a logout %s", report.PostLogout)
		if report.BackChannel != "" {
			p.line("                    the back-channel logout URL %s", report.BackChannel)
		}
		p.line("    scopes: %s", strings.Join(login.Scopes, " "))
		switch {
		case login.NoRefresh:
			p.line("    refresh is off: users log in again when the ID token ends")
		case !slices.Contains(login.Scopes, "offline_access"):
			p.line("    many issuers give a refresh token for the scope offline_access only: without one users log in again when the ID token ends")
		}
	}
	if report.Stored {
		p.line("  the session is in the storage, and its ticket in the cookie %s", report.Cookies[0])
	} else {
		p.line("  the session is in the cookies %s", strings.Join(report.Cookies, ", "))
	}
	idle := ""
	if report.Idle > 0 {
		idle = ", or " + report.Idle.String() + " after the last request"
	}
	p.line("    it ends %s after the login%s", report.Lifetime, idle)
	p.line("    its keys are %s", report.Keys)
	switch {
	case report.Shared:
	case report.KeyFile && !report.Stored:
		p.line("    other machines do not learn of a logout: replicas of this site need a storage in common, too")
	default:
		p.line("    other machines have other keys: replicas of this site need a storage in common")
	}
}
