// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// explainPage says what one of the session's own pages would do with a request. check runs none of
// them: a callback spends its code, and a logout ends the session.
func (s *sessions) explainPage(r *http.Request, ex *exchange, report *command.SessionReport) *command.OwnPage {
	method, asked := asItCame(r)
	rest := strings.TrimPrefix(asked.EscapedPath(), s.options.Path)
	serve, methods := s.page(ex, rest)
	if serve == nil {
		return &command.OwnPage{Status: http.StatusNotFound, Lines: []string{
			"the session does not have a page with this address: its pages are " + strings.Join(s.pages(), ", "),
		}}
	}
	page := &command.OwnPage{Name: strings.TrimPrefix(rest, "/")}
	if methods != nil && !slices.Contains(methods, method) {
		page.Status, page.Lines = http.StatusMethodNotAllowed, []string{"it takes " + strings.Join(methods, ", ") + " only"}
		return page
	}
	switch name, _, _ := strings.Cut(page.Name, "/"); "/" + name {
	case callbackPath:
		s.explainCallback(r, ex, page)
	case loginPath:
		s.explainLoginPage(r, ex, page, report.Counts())
	case logoutPath:
		s.explainLogout(r, ex, page, report.Counts())
	case statusPath:
		page.Lines = []string{"it answers a page of this site with the user and the groups as JSON, if the session counts"}
		if browser.IsCrossSite(ex.browser(r)) {
			page.Status = http.StatusForbidden
		} else if !report.Counts() && !report.MustRefresh {
			page.Status = http.StatusUnauthorized
		}
	case backChannelPath:
		page.Lines = []string{"the issuer sends its logout tokens here with a POST: Caddy ends the sessions that one names"}
	}
	return page
}

// pages are the paths of all of them.
func (s *sessions) pages() []string {
	all := []string{loginPath, logoutPath, statusPath}
	if s.options.BackChannelLogout {
		all = append(all, backChannelPath)
	}
	for _, l := range s.logins {
		all = append(all, l.callbackPath())
		if l.segment != "" {
			all = append(all, l.below(loginPath))
		}
	}
	for n := range all {
		all[n] = s.options.Path + all[n]
	}
	slices.Sort(all)
	return all
}

// explainCallback reads a callback, and asks the issuer nothing.
func (s *sessions) explainCallback(r *http.Request, ex *exchange, page *command.OwnPage) {
	page.Lines = []string{fmt.Sprintf("it ends a login at %s %s", ex.login.label(), ex.login.Issuer)}
	say := func(format string, args ...any) { page.Lines = append(page.Lines, fmt.Sprintf(format, args...)) }
	method, asked := asItCame(r)
	if method == http.MethodPost {
		say("the issuer sends a form, which check cannot describe")
		return
	}
	back, err := codeflow.ParseCallback(asked.RawQuery)
	switch {
	case err == nil && browser.IsPrefetch(r.Header):
		err = errors.New("the browser asks ahead of time (Sec-Purpose)")
	case err == nil && ex.login.FormPost && back.Error == "":
		err = errors.New("the code is in the address, although response_mode form_post keeps it out of there")
	case err == nil && !ex.placed:
		err = errors.New("this site is served over plain http, where there are no sessions without insecure_http")
	}
	if err != nil {
		page.Status = http.StatusBadRequest
		say("it ends with an error: %v", err)
		return
	}
	binding, _ := s.jar.OpenBinding(r.Context(), ex.cookies, ex.site, ex.Received) // an error says that there is none
	attempt, verdict, err := s.jar.OpenState(r.Context(), back.State, binding, ex.site, ex.Received)
	switch {
	case err != nil:
		page.Status = http.StatusServiceUnavailable
		say("the state cannot be read now: %v", err)
	case verdict == session.StateUnreadable || verdict == session.StateUnknownKey:
		page.Status = http.StatusBadRequest
		say("it ends with an error: the state is %s. The keys have to be those with which the login began", verdict)
	case attempt.Source != ex.login.Key || attempt.Origin != ex.scheme+"://"+ex.host:
		page.Status = http.StatusBadRequest
		say("it ends with an error: the state is of another site, issuer or client")
	case verdict != session.StateGood:
		say("the state is %s: the login begins again, %d times at most, and goes to the same page", verdict, session.MaxRestarts)
		if binding == nil {
			say("the browser did not send the cookie of the login (%s)", s.jar.Names(ex.site.Secure)[1])
		}
	case back.Error != "":
		say("the issuer has refused: %s", back.Error)
	default:
		say("the state is this browser's: Caddy would redeem the code, set the session's cookies, and send the browser to the page that it came for")
		say("check does not, since a code can be redeemed once")
	}
}

// explainLoginPage says where the login page leads.
func (s *sessions) explainLoginPage(r *http.Request, ex *exchange, page *command.OwnPage, counts bool) {
	wanted, err := s.readWish(r)
	switch why := whyNotOpened(ex.browser(r)); {
	case err != nil:
		page.Status = http.StatusBadRequest
		page.Lines = []string{"it ends with an error: the parameter to: " + err.Error()}
	case why != "":
		page.Status = http.StatusUnauthorized
		page.Lines = []string{"it does not begin a login, and answers with a link to itself: " + why}
	case ex.login == nil:
		page.Lines = []string{"the user chooses one of the issuers"}
	case counts && !wanted.asAnother:
		page.Lines = []string{"the session counts, so the browser is sent to " + command.WithoutSecrets(wanted.to)}
	default:
		page.Lines = []string{fmt.Sprintf("the browser is sent to %s, and afterwards to %s", ex.login.Issuer, command.WithoutSecrets(wanted.to))}
	}
}

// explainLogout says what a logout ends.
func (s *sessions) explainLogout(r *http.Request, ex *exchange, page *command.OwnPage, counts bool) {
	switch method, _ := asItCame(r); {
	case method != http.MethodPost && counts:
		page.Lines = []string{"it shows a button: a POST of that page ends the session, so that no link of another site can"}
	case method != http.MethodPost:
		page.Lines = []string{"it says that the user is logged out, and has a link to log in"}
	case !browser.ProvesSameOrigin(ex.browser(r)):
		page.Status = http.StatusForbidden
		page.Lines = []string{"it does not end the session: the request does not say that a page of this site sent it (Sec-Fetch-Site: same-origin, or Origin)"}
	default:
		page.Lines = []string{
			"the session ends, its cookies are deleted, and its refresh token is revoked",
			"the browser is sent to the issuer's logout if it has one, and then to " + s.afterLogout(ex),
		}
	}
}
