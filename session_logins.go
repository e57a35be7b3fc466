// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// login is one of the logins of a site.
type login struct {
	*guest.Login

	src     *configuredSource // that judges its ID tokens, and no others
	segment string            // its own in the paths; empty where there is one login
}

// logins are those of a site, in the order of their sources. The first is the one that a browser
// is sent to without being asked.
type logins []*login

// of returns the login at which a session was begun, or a login was; nil if it is not there.
func (all logins) of(key string) *login {
	for _, l := range all {
		if l.Key == key {
			return l
		}
	}
	return nil
}

// state is what the sessions' state depends on, for its key.
func (all logins) state() []string {
	var parts []string
	for _, l := range all {
		parts = append(parts, l.Key, l.Margin.String(), strconv.FormatBool(l.FormPost))
	}
	return parts
}

// labels are the names of their sources, by the keys of the logins.
func (all logins) labels() map[string]string {
	names := make(map[string]string)
	for _, l := range all {
		names[l.Key] = l.label()
	}
	return names
}

// formPost says whether one of the issuers sends browsers back with a form.
func (all logins) formPost() bool {
	return slices.ContainsFunc(all, func(l *login) bool { return l.FormPost })
}

// label is the name of a login's source; "none" if the login is no longer there.
func (all logins) label(key string) string {
	if l := all.of(key); l != nil {
		return l.label()
	}
	return "none"
}

// label is the source's name, for a log or a metric.
func (l *login) label() string { return l.src.name }

// callbackPath is below the session's path. Each issuer has a redirect URI of its own, so that no
// issuer can pass its code off as one of another issuer (mix-up, RFC 9700, section 4.4).
func (l *login) callbackPath() string { return l.below(callbackPath) }

// below is a path of its own, where there are several logins.
func (l *login) below(path string) string {
	if l.segment == "" {
		return path
	}
	return path + "/" + l.segment
}

// findLogins collects the logins of the sources.
func (h *Handler) findLogins() (logins, error) {
	var all logins
	for _, src := range h.sources {
		if at, ok := src.Source.(LoginSource); ok && at.Login() != nil {
			all = append(all, &login{Login: at.Login(), src: src})
		}
	}
	if len(all) < 2 {
		return all, nil
	}
	keys, segments := make(map[string]bool), make(map[string]bool)
	for _, l := range all {
		segment := l.Segment()
		folded := strings.ToLower(segment)
		switch {
		case l.Name == "":
			return nil, fmt.Errorf("login: there are several logins, and that of the issuer %s has no name", l.Issuer)
		case guest.CheckLoginName(l.Name) != nil:
			return nil, fmt.Errorf("login: name: %w", guest.CheckLoginName(l.Name))
		case segments[folded]:
			return nil, fmt.Errorf("login: name: there are two logins %q in the paths", folded)
		case keys[l.Key]:
			return nil, fmt.Errorf("login: there are two logins at the issuer %s with the same client", l.Issuer)
		}
		l.segment, keys[l.Key], segments[folded] = segment, true, true
	}
	return all, nil
}

// provisionSession finds the sources at which browsers log in. Without one there is no session.
func (h *Handler) provisionSession(ctx caddy.Context) error {
	all, err := h.findLogins()
	switch {
	case err != nil:
		return err
	case len(all) == 0 && h.Session != nil:
		return errors.New("session: there is no source with a login")
	case len(all) == 0:
		return nil
	case h.Login != "":
		return errors.New("login: there is also a login of a source: browsers could be sent to one of them only")
	}
	if h.Session == nil {
		h.Session = new(Session)
	}
	h.Session.setDefaults()
	if err := h.Session.check(all); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	state, err := h.acquireSessions(ctx, all)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	h.sessions = &sessions{
		handler: h, options: h.Session, logins: all, state: state,
		jar: state.jar, limits: h.Session.limits(), owner: new(identity.Owner), tlsHosts: make(map[string]bool),
	}
	for _, l := range all {
		if err := h.metrics.ForLogins(l.label(), loginWords, logoutKinds); err != nil {
			return err
		}
		l.src.login = l
		if callback, err := url.Parse(l.RedirectURL); err == nil && callback.Scheme == "https" {
			h.sessions.tlsHosts[strings.TrimSuffix(strings.ToLower(callback.Host), ":443")] = true
		}
	}
	if h.Session.CookieDomain != "" {
		h.logger.Warn("every host below cookie_domain can read and overwrite the session's cookies: " +
			"remove it unless several sites must share one login")
	}
	return nil
}
