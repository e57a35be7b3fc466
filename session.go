// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// Session is how the login of a browser is kept: in encrypted cookies. A source with a login is
// needed.
type Session struct {
	// Path is the path of the session's own pages, as the browser knows it: "callback", "login",
	// "logout" and "session" below it. They are never forwarded. It is below the root, in
	// letters, digits and "-._~", without a slash at its end. Default: /kube-identity.
	Path string `json:"path,omitempty"`

	// CookieName is the name of the cookie, without a prefix: "__Host-" is put before it over
	// https. Two handlers on one host with different clients need different names. Default:
	// kube_session.
	CookieName string `json:"cookie_name,omitempty"`

	// CookieDomain lets the cookies reach all hosts below a domain, which has a dot in it and
	// covers the host of redirect_url. Every one of these hosts can then read and overwrite them.
	// Default: the host of the request alone.
	CookieDomain string `json:"cookie_domain,omitempty"`

	// Lifetime is how long a session lives, from the login on. Less than 1m is refused. Default:
	// 12h.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// IdleTimeout is how long it lives without a request. Less than 2m is refused, and so is
	// Lifetime or more. Default: no such limit.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// KeyFile is a file with the keys of the cookies: one a line, at least 32 bytes in base64.
	// The first seals, all of them open. All instances of a site need the same keys. Default:
	// keys in Caddy's storage, or in that of Store, which are replaced every week.
	KeyFile string `json:"key_file,omitempty"`

	// StoreRaw keeps the sessions in a storage, with a ticket in the cookie: for sessions that
	// are too large for cookies, and for issuers that let a refresh token be used once, where
	// several instances serve the site. Without a module (in JSON an empty object) it is Caddy's
	// own storage. A storage module has the keys of the cookies and the logouts, too. Default:
	// sessions are in the cookies.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=caddy.storage inline_key=module"`

	// PostLogoutURL is the http or https URL, or the path on this site, to which a browser comes
	// after a logout. The issuer must know it. A URL with a user or a fragment is refused.
	// Default: the session's own page "logout".
	PostLogoutURL string `json:"post_logout_url,omitempty"`

	// BackChannelLogout accepts logout tokens of the issuer at the path "back-channel" below Path
	// (OpenID Connect Back-Channel Logout 1.0): it ends sessions that it knows by their sid, or
	// all sessions of a user. Default: the path is not found.
	BackChannelLogout bool `json:"back_channel_logout,omitempty"`

	// KeepFragment keeps the fragment of an address, such as #/pods, over a login in which the
	// issuer shows a page: that is where browsers drop it. Two pages with a small script, before
	// and after the login, take the place of redirects. Default: there is no script.
	KeepFragment bool `json:"keep_fragment,omitempty"`

	// InsecureHTTP allows logins over plain http where the host is not a loopback address. All
	// parties on the network path can then take a session over. Default: they get an error page.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	stored bool // whether there is a store; loading its module clears its field
}

// LoginSource is implemented by a source at whose issuer browsers can log in.
type LoginSource interface {
	identity.Source

	// Login returns how; nil if its configuration does not say so.
	Login() *guest.Login
}

const (
	sessionPath     = "/kube-identity"
	sessionLifetime = 12 * time.Hour
	shortestIdle    = 2 * time.Minute
)

func (h *Handler) parseSession(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	s := new(Session)
	h.Session = s
	return option.Block(d, option.Options{
		"store": parseStore(&s.StoreRaw), "back_channel_logout": option.Flag(&s.BackChannelLogout),
		"path":            option.Word(&s.Path, checkSessionPath),
		"cookie_name":     option.Word(&s.CookieName, checkCookieName),
		"cookie_domain":   option.Word(&s.CookieDomain, checkCookieDomain),
		"lifetime":        option.Duration(&s.Lifetime),
		"idle_timeout":    option.Duration(&s.IdleTimeout),
		"key_file":        option.Word(&s.KeyFile, option.CheckSecretFile),
		"post_logout_url": option.Word(&s.PostLogoutURL, checkPostLogoutURL),
		"keep_fragment":   option.Flag(&s.KeepFragment),
		"insecure_http":   option.Flag(&s.InsecureHTTP),
	})
}

// checkSessionPath refuses what could not be told from other paths.
func checkSessionPath(text string) error {
	if !strings.HasPrefix(text, "/") || text == "/" || path.Clean(text) != text ||
		strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-._~/") != "" {
		return fmt.Errorf("%q is not a path such as /kube-identity: below the root, without a slash at the end, "+
			"and of letters, digits and -._~ only", text)
	}
	return nil
}

// checkCookieName asks the jar, which has the rules.
func checkCookieName(name string) error { return cookieFault(session.JarConfig{Name: name}) }

func checkCookieDomain(domain string) error {
	if !strings.Contains(strings.Trim(domain, "."), ".") {
		return fmt.Errorf("%q is not a domain with a dot, so browsers would refuse the cookies", domain)
	}
	return cookieFault(session.JarConfig{Domain: domain})
}

func cookieFault(config session.JarConfig) error {
	_, err := session.NewJar(config)
	return err
}

// checkPostLogoutURL refuses what is neither an http or https URL nor a path of this site.
func checkPostLogoutURL(text string) error {
	if strings.HasPrefix(text, "/") {
		_, err := session.ReturnPath(text, sessionPath+"-is-not-compared-here")
		return err
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return fmt.Errorf("%q is neither an http or https URL without a user and a fragment, nor a path", text)
	}
	return nil
}

// setDefaults fills in what is not said.
func (s *Session) setDefaults() {
	s.Path = cmp.Or(s.Path, sessionPath)
	s.Lifetime = cmp.Or(s.Lifetime, caddy.Duration(sessionLifetime))
}

func (s *Session) limits() session.Limits {
	return session.Limits{Lifetime: time.Duration(s.Lifetime), Idle: time.Duration(s.IdleTimeout)}
}

// check repeats the parser's checks, and has those of the whole.
func (s *Session) check(logins logins) error {
	errs := []error{checkSessionPath(s.Path)}
	if s.CookieName != "" {
		errs = append(errs, checkCookieName(s.CookieName))
	}
	if s.CookieDomain != "" {
		errs = append(errs, checkCookieDomain(s.CookieDomain))
	}
	if s.PostLogoutURL != "" {
		errs = append(errs, checkPostLogoutURL(s.PostLogoutURL))
	}
	switch lifetime, idle := time.Duration(s.Lifetime), time.Duration(s.IdleTimeout); {
	case lifetime < time.Minute:
		errs = append(errs, fmt.Errorf("lifetime: %s is less than a minute", lifetime))
	case idle == 0:
	case idle < shortestIdle:
		errs = append(errs, fmt.Errorf("idle_timeout: %s is less than %s", idle, shortestIdle))
	case idle >= lifetime:
		errs = append(errs, fmt.Errorf("idle_timeout: %s is not less than the lifetime, %s", idle, lifetime))
	}
	for _, l := range logins {
		errs = append(errs, s.checkRedirectURL(l))
	}
	return errors.Join(errs...)
}

// checkRedirectURL compares the callback that the issuer knows with the one that is served.
func (s *Session) checkRedirectURL(l *login) error {
	if l.RedirectURL == "" {
		return nil
	}
	callback, err := url.Parse(l.RedirectURL)
	if err != nil || callback.EscapedPath() != s.Path+l.callbackPath() {
		return fmt.Errorf("redirect_url: %q does not have the path %s%s", l.RedirectURL, s.Path, l.callbackPath())
	}
	if domain := s.CookieDomain; domain != "" && !strings.HasSuffix("."+callback.Hostname(), "."+domain) {
		return fmt.Errorf("cookie_domain: %s does not cover the host of redirect_url, %s", domain, callback.Hostname())
	}
	return nil
}

// Cleanup gives the sessions' state back.
func (h *Handler) Cleanup() error {
	h.member.Leave()
	if h.membership != nil {
		h.membership.leave()
	}
	return errors.Join(guest.Release(sessionStates, &h.sessionKey), h.releaseReviews())
}
