// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// remembered is the login of the session that a browser still brings, although it proves nothing
// any more: its user is not sent to another issuer. Otherwise it is the first.
func (s *sessions) remembered(ctx context.Context, ex *exchange) *login {
	if len(s.logins) > 1 {
		if found, err := s.openAny(ctx, ex); err == nil {
			if l := s.logins.of(found.Source); l != nil {
				return l
			}
		}
	}
	return s.logins[0]
}

// wish is what the query of an explicit start says.
type wish struct {
	to        string // where to go afterwards, on this site
	isGiven   bool   // to was in the query
	asAnother bool   // the user wants to be somebody else
}

func (s *sessions) readWish(r *http.Request) (wish, error) {
	_, asked := asItCame(r)
	query, err := url.ParseQuery(asked.RawQuery)
	wanted := wish{to: "/", isGiven: query.Has("to"), asAnother: query.Has("switch")}
	switch {
	case err != nil:
	case len(query["to"]) > 1:
		err = errors.New("it is there twice")
	case wanted.isGiven:
		wanted.to, err = s.returnPath(query.Get("to"))
	}
	return wanted, err
}

// query is the wish as the query of a link. It has letters, digits and the like alone, in any
// case.
func (v wish) query() string {
	values := url.Values{}
	if v.isGiven {
		values.Set("to", v.to)
	}
	if v.asAnother {
		values.Set("switch", "1")
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// loginPage is an explicit start, where a page of the operator's links to it, or one of ours.
// Its only parameters are where to go afterwards, on this site, and whether to be somebody else.
func (s *sessions) loginPage(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	wanted, err := s.readWish(r)
	if err != nil {
		return s.fail(w, r, ex, &failure{
			http.StatusBadRequest, "malformed", "The link is not good", "The page to return to is not one of this site.",
			fmt.Errorf("the parameter to: %w", err),
		})
	}
	if !browser.StartsLogin(ex.browser(r)) {
		return s.showError(w, r, ex, http.StatusUnauthorized, "a login can only be begun by a page that a user opens", s.loginLink())
	}
	if ex.login == nil {
		return s.show(w, http.StatusOK, s.chooser(wanted))
	}
	if wanted.asAnother && browser.ProvesSameOrigin(ex.browser(r)) {
		if found, err := s.openAny(r.Context(), ex); err == nil {
			s.end(r.Context(), found, "switch")
		}
		return s.start(w, r, ex, plan{login: ex.login, to: wanted.to, prompt: "select_account"})
	}
	if _, err := s.prove(r.Context(), ex, ex.login); err == nil {
		s.addCookies(w, ex)
		return s.redirect(w, ex.scheme+"://"+ex.host+wanted.to)
	}
	ex.Session = identity.Session{}
	return s.start(w, r, ex, plan{login: ex.login, to: wanted.to})
}

// chooser is the page login where there are several logins.
func (s *sessions) chooser(wanted wish) *browser.Page {
	page := &browser.Page{Title: "Log in", Text: []string{"How do you want to log in?"}}
	for _, l := range s.logins {
		page.Links = append(page.Links, browser.Link{URL: s.options.Path + l.below(loginPath) + wanted.query(), Text: l.Name})
	}
	return page
}
