// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// provisionLogin checks the login, and makes the audience of it.
func (o *OIDC) provisionLogin() error {
	if o.LoginBlock == nil {
		return nil
	}
	if err := o.checkLoginWhole(); err != nil {
		return err
	}
	l := o.LoginBlock
	if len(o.Audience) == 0 {
		o.Audience = []string{l.ClientID}
	}
	if !slices.Contains(o.Audience, l.ClientID) {
		return fmt.Errorf("login: client_id %q is not an audience: the ID tokens of a login would be refused", l.ClientID)
	}
	if err := l.checkAuth(); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if _, _, err := parseRefresh(l.Refresh); err != nil {
		return fmt.Errorf("login: refresh: %w", err)
	}
	if l.RedirectURL != "" {
		if err := checkRedirectURL(l.RedirectURL); err != nil {
			return fmt.Errorf("login: redirect_url: %w", err)
		}
	}
	return l.checkMode()
}

// checkMode checks how browsers come back, and the name of that place.
func (l *OIDCLogin) checkMode() error {
	if l.Name != "" {
		if err := guest.CheckLoginName(l.Name); err != nil {
			return fmt.Errorf("login: name: %w", err)
		}
	}
	if l.ResponseMode == "" {
		return nil
	}
	if err := checkResponseMode(l.ResponseMode); err != nil {
		return fmt.Errorf("login: response_mode: %w", err)
	}
	if l.ResponseMode == formPost && strings.HasPrefix(strings.ToLower(l.RedirectURL), "http:") {
		return errors.New("login: response_mode form_post needs a redirect_url over https: otherwise browsers do not send the cookie of the login along")
	}
	return nil
}

const formPost = "form_post"

func checkResponseMode(word string) error {
	return option.OneOf([]string{"query", formPost})(word)
}

// parseRefresh reads the option refresh.
func parseRefresh(text string) (off bool, margin time.Duration, err error) {
	switch text {
	case "":
		return false, 0, nil
	case "off":
		return true, 0, nil
	}
	if margin, err = option.ParseDuration(text); err != nil {
		return false, 0, fmt.Errorf("it is not off, and %w", err)
	}
	if margin <= 0 {
		return false, 0, fmt.Errorf("%s is not above zero", text)
	}
	return false, margin, nil
}

// checkRedirectURL refuses what an issuer would not send a browser to.
func checkRedirectURL(text string) error {
	if err := option.CheckScheme(text); err != nil {
		return err
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil || parsed.Opaque != "":
		return fmt.Errorf("%q is not a URL with a host, without a user", text)
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(text, "#"):
		return errors.New("it has a query or a fragment")
	case parsed.Scheme != "https" && (parsed.Scheme != "http" || !fetch.IsLoopback(parsed.Hostname())):
		return fmt.Errorf("%q is not an https url, and its host is not a loopback address", text)
	}
	return nil
}
