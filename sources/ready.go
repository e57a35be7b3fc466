// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Ready implements [guest.Readier]: there are keys of the issuer, and browsers can be sent to it.
func (o *OIDC) Ready(_ context.Context, now time.Time) []guest.Condition {
	all := []guest.Condition{{Kind: "issuer", Name: o.Issuer, Met: o.keys.Status(now).Usable}}
	if o.login != nil {
		all = append(all, guest.Condition{Kind: "login", Name: o.Issuer, Met: o.login.Provider.Status().Usable})
	}
	return all
}

// Ready implements [guest.Readier]: there are keys of each issuer in the file. One that a later file
// has added does not count: all replicas read that file in the same second, and would leave their
// Service together if the issuer were out of reach.
func (a *AuthenticationConfig) Ready(_ context.Context, now time.Time) []guest.Condition {
	a.state.current() // as a token would
	var all []guest.Condition
	for _, of := range a.state.now.Load().keys {
		if of.later {
			continue
		}
		all = append(all, guest.Condition{Kind: "issuer", Name: of.issuer, Met: of.keys.Status(now).Usable})
	}
	return all
}

// Ready implements [guest.Readier]: each list could be read, and one of it counts.
func (c *ClientCert) Ready(_ context.Context, now time.Time) []guest.Condition {
	var all []guest.Condition
	for _, list := range c.authenticator.Revocation.Lists() {
		all = append(all, guest.Condition{Kind: "crl", Name: list.Name, Met: list.Usable(now)})
	}
	return all
}

// Interface guards
var (
	_ guest.Readier = (*OIDC)(nil)
	_ guest.Readier = (*AuthenticationConfig)(nil)
	_ guest.Readier = (*ClientCert)(nil)
)
