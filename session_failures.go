// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// loginWords are the values of the label result of a login that failed.
//
//nolint:gochecknoglobals // a table
var loginWords = []string{
	"malformed", "unavailable", "code_refused", "forbidden", "id_token", "too_large", "insecure", "loop",
	"unknown_key", "restarts", "issuer_error", "denied",
}

// logoutKinds are the values of the label kind of a logout.
//
//nolint:gochecknoglobals // a table
var logoutKinds = []string{"user", "switch", "replaced", "back_channel"}

// malformedCallback is a callback that the issuer did not send, or not for this site.
func malformedCallback(err error) *failure {
	return &failure{http.StatusBadRequest, "malformed", "This login cannot be finished", "The link is not one of a login that was begun here.", err}
}

// unavailable is for what may work later.
func unavailable(err error) *failure {
	if errors.Is(err, codeflow.ErrClientFault) { // waiting does not help
		return &failure{http.StatusServiceUnavailable, "unavailable", "Logging in is not possible now", "The login of this site is not set up correctly. Please tell its operator.", err}
	}
	return &failure{http.StatusServiceUnavailable, "unavailable", "Logging in is not possible now", "The login service cannot be reached. Please try again in a moment.", err}
}

// notRedeemed is for a code that did not become tokens.
func notRedeemed(err error) *failure {
	switch {
	case errors.Is(err, identity.ErrMalformed):
		return malformedCallback(err)
	case errors.Is(err, identity.ErrRejected):
		return &failure{http.StatusBadGateway, "code_refused", "Logging in did not work", "The login service did not accept its own answer. Please try again.", err}
	}
	return unavailable(err)
}

// badIDToken is for an ID token that proves nothing.
func badIDToken(err error) *failure {
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		return unavailable(err)
	case errors.Is(err, identity.ErrForbidden):
		return &failure{http.StatusForbidden, "forbidden", "Not allowed", "This user may not log in here.", err}
	}
	return &failure{http.StatusBadGateway, "id_token", "Logging in did not work", "The answer of the login service proves nothing.", err}
}

// notSealed is for a session that does not fit into cookies.
func (s *sessions) notSealed(err error) *failure {
	switch {
	case !errors.Is(err, session.ErrTooLarge):
		return unavailable(err)
	case s.options.stored:
		return &failure{
			http.StatusInternalServerError, "too_large", "The login is too large",
			"The login service sends very long tokens: " + err.Error() + ". Please tell the operator of this site.", err,
		}
	}
	return &failure{
		http.StatusInternalServerError, "too_large", "The login does not fit into the browser's cookies",
		"The user has too many groups, or the login service sends very long tokens: " + err.Error() + ". Please tell the operator of this site.",
		fmt.Errorf("%w; the option store keeps sessions that are larger", err),
	}
}

// errInsecure is for plain http, over which browsers drop the cookies.
func errInsecure() *failure {
	return &failure{
		http.StatusBadRequest, "insecure", "Logging in needs https",
		"This site was opened over plain http, or under a name that cannot be used. The operator can serve it over https, or allow plain http with the option insecure_http.",
		errors.New("the request came over plain http: there is no insecure_http, and the peer is not a trusted proxy that ended TLS"),
	}
}

// looping is for logins after which the browser comes back without a session.
func (s *sessions) looping() *failure {
	return &failure{
		http.StatusBadRequest, "loop", "Logging in goes round in circles",
		"Logins have ended well, and the browser came back without the session each time. Are cookies blocked for this site? " +
			"Otherwise please tell the operator: the instances of this site may have different keys or clocks.",
		errors.New("three logins within a minute, and no session after them: cookies are dropped, clocks differ, or instances do not share their keys"),
	}
}

// unknownKey is for instances that do not share their keys.
func (s *sessions) unknownKey() *failure {
	return &failure{
		http.StatusBadRequest, "unknown_key", "This login cannot be finished",
		"The login was begun at another instance of this site, which has other keys. Please tell the operator of this site.",
		errors.New("the state was sealed with a key that this instance does not have: the instances must share Caddy's storage, or key_file"),
	}
}
