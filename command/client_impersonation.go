// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// reviews lists what the API server was asked about the client's own Impersonate-*.
func (p *printer) reviews(reviews []ReviewReport) {
	if len(reviews) == 0 {
		return
	}
	p.line("\nthe client asks to be another user (client_impersonation review), so the API server is asked, as the client, about")
	for n := range reviews {
		what, answer := &reviews[n].What, "yes"
		switch err := reviews[n].Err; {
		case errors.Is(err, identity.ErrForbidden):
			answer = "no"
		case err != nil:
			answer = err.Error()
		}
		resource := what.Resource
		if what.Subresource != "" {
			resource += "/" + what.Subresource
		}
		if what.Group != "" {
			resource += " in " + what.Group
		}
		if what.Namespace != "" {
			resource += " in the namespace " + what.Namespace
		}
		p.line("  %s %s %q: %s", what.Verb, resource, what.Name, answer)
	}
}

// addReview notes what goes along with a user whom a client asked for: a uid, and the extra
// attribute that says who asked.
func (i *impersonating) addReview(h *handler) {
	if h.ClientImpersonation != "review" {
		return
	}
	i.reviewed, i.uid = true, true
	i.extra = option.Union(i.extra, []string{identity.OriginalUserKey})
}

// remarksOnReview are the comments on what clients ask for themselves.
func (i *impersonating) remarksOnReview(account string, options rbacOptions) []string {
	if !i.reviewed {
		return nil
	}
	lines := []string{
		"client_impersonation review: " + account + " may impersonate whatever clients may ask for. Who may, is up to roles with the verb impersonate for the users themselves; they need no right to ask.",
		"client_impersonation review: for kubectl --as-user-extra add userextras/<key>, for each key that clients may ask for.",
	}
	if options.constrained {
		lines = append(lines, "client_impersonation review: with --constrained kubectl --as for a service account gets 403, since the original user goes along as an extra attribute. It needs the verb impersonate too, for serviceaccounts and for that key.")
	}
	return lines
}
