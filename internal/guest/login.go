// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// Login is how browsers log in at the issuer of a source.
type Login struct {
	// Key names the issuer and the client. A session remembers at which it was begun.
	Key string

	Issuer   string
	Provider *codeflow.Provider

	// Logout verifies the issuer's logout tokens by the source's keys, and may be nil.
	Logout *codeflow.LogoutVerifier

	// Name is what the user chooses it by, where a site has several logins; see
	// [CheckLoginName].
	Name string

	// RedirectURL is the callback as the browser knows it. Empty: the site of the request.
	RedirectURL string

	// FormPost says that the issuer's page sends the browser back with a form, and not with a
	// redirect.
	FormPost bool

	// NoRefresh ends a session with its first ID token. Margin is how long before its end an ID
	// token is replaced; zero for the default.
	NoRefresh bool
	Margin    time.Duration
}

const maxLoginName = 40

// CheckLoginName refuses a name that cannot be a part of a path as it is, except for its blanks.
func CheckLoginName(name string) error {
	const marks = "-._ "
	isOther := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(marks, r)
	}
	if name == "" || len(name) > maxLoginName || strings.ContainsFunc(name, isOther) || strings.Trim(name, marks) != name {
		return fmt.Errorf("%q is not a name of letters, digits, blanks and -._ that begins and ends with a letter or digit, of %d at most", name, maxLoginName)
	}
	return nil
}

// Segment is the name as a segment of a path: blanks become "-". No other character of it needs
// to be encoded.
func (l *Login) Segment() string { return strings.ReplaceAll(l.Name, " ", "-") }
