// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// SessionReport is what the session cookies of a request are worth. It has nothing that they
// hold except times.
type SessionReport struct {
	// Own is the session's own page that the request is for; nil: it is for another.
	Own *OwnPage

	// Present says that the request has cookies of the session. Err is why they do not count.
	Present bool
	Err     error

	// Explicit says that a bearer token stands beside them, which counts instead. NotPlaced says
	// that the site cannot have sessions, since it is served over plain http.
	Explicit, NotPlaced bool

	// Source and Issuer are those at which the browser logged in.
	Source, Issuer string

	// Begun is when the browser logged in. Ends and IdleEnds are when the session ends at the
	// latest, and unless it is used before. TokenEnds is when its ID token does.
	Begun, Ends, IdleEnds, TokenEnds time.Time

	// CanRefresh says that it has a refresh token. WouldRefresh says that the request would make
	// Caddy refresh it, and MustRefresh that it does not count otherwise.
	CanRefresh, WouldRefresh, MustRefresh bool
}

// Counts says whether the session says who the user is.
func (s *SessionReport) Counts() bool {
	return s.Present && s.Err == nil && !s.Explicit && !s.NotPlaced && !s.MustRefresh
}

// session prints what the cookies are worth.
func (p *printer) session(report *SessionReport) {
	if report == nil {
		return
	}
	p.section("session")
	switch {
	case report.NotPlaced:
		p.line("  none: this site is served over plain http, where there are no sessions without insecure_http")
		return
	case !report.Present:
		p.line("  none: the request has no session cookie (describe those of the browser by -H 'Cookie: …')")
		return
	case report.Explicit:
		p.line("  %s: a bearer token stands beside it", p.in(care, "does not count"))
	case report.Err != nil:
		p.line("  %s: %v", p.in(care, "does not count"), report.Err)
	case report.MustRefresh:
		p.line("  %s", p.in(care, "has to be refreshed"))
	default:
		p.line("  %s", p.in(good, "counts"))
	}
	if report.Begun.IsZero() {
		return
	}
	now := time.Now()
	if report.Source != "" {
		p.line("    begun at %s %s, %s", report.Source, report.Issuer, guest.Dated(report.Begun, now))
	}
	p.line("    it lives until %s", guest.Dated(report.Ends, now))
	if !report.IdleEnds.IsZero() {
		p.line("    without another request it lives until %s", guest.Dated(report.IdleEnds, now))
	}
	if !report.TokenEnds.IsZero() {
		p.line("    its ID token lives until %s", guest.Dated(report.TokenEnds, now))
	}
	p.refresh(report)
}

func (p *printer) refresh(report *SessionReport) {
	switch {
	case report.MustRefresh:
		p.line("    Caddy would refresh it, and it counts if the issuer agrees: check does not ask, since that spends the refresh token")
	case report.WouldRefresh:
		p.line("    Caddy would refresh it with this request; check does not, since that spends the refresh token")
	case report.CanRefresh:
		p.line("    it can be refreshed, which is not due")
	case !report.TokenEnds.IsZero():
		p.line("    it cannot be refreshed: the user logs in again when its ID token ends")
	}
}

// OwnPage is one of the session's own pages, and what it would do with a request.
type OwnPage struct {
	Name  string // empty: it is not one of them
	Lines []string

	// Status is that with which it would refuse the request; 0: it would not.
	Status int
}

// own is for a request to one of the session's own pages.
func (p *printer) own(page *OwnPage) int {
	p.section("answered by kube_identity itself, and never forwarded")
	if page.Name != "" {
		p.line("  it is the page %s of the session: check does not run it, since it may change the session", page.Name)
	}
	for _, line := range page.Lines {
		p.line("  %s", line)
	}
	if page.Status == 0 {
		return exitForwarded
	}
	p.line("  the client gets %s", p.in(bad, statusLine(page.Status)))
	if page.Status >= http.StatusInternalServerError {
		return exitUndecided
	}
	return exitRefused
}
