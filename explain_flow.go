// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// explainFlow says which way a request without an identity goes that could begin a login here; nil
// if it could not. The sources and the header must be the handler's own yet.
func (h *Handler) explainFlow(r *http.Request, peer identity.Peer) *command.LoginFlow {
	if h.sessions == nil {
		return nil
	}
	ex := h.explainedExchange(r, peer)
	asked := ex.browser(r)
	flow := &command.LoginFlow{LoginPage: h.Session.Path + loginPath, Fragment: h.Session.KeepFragment, Page: browser.IsNavigation(asked)}
	for _, name := range []string{"Sec-Fetch-Mode", "X-Requested-With", "Origin"} {
		flow.Browser = flow.Browser || len(r.Header[name]) > 0
	}
	switch why := whyNotOpened(asked); {
	case why != "":
		flow.Why = why
	case h.isExplicit(ex.Stripped):
		flow.Why = "a bearer token came with it, and beside one a session would not count"
	case h.unclaimed(ex.Stripped) != "" && len(r.Header["Sec-Fetch-Mode"]) == 0:
		flow.Why = "its credential is bad, and it does not say that a browser sent it (Sec-Fetch-Mode)"
	}
	l := h.sessions.remembered(r.Context(), ex)
	flow.Login = slices.Index(h.sessions.logins, l)
	flow.Form = l.FormPost
	_, from := asItCame(r)
	flow.Return = from.RequestURI()
	if _, err := h.sessions.returnPath(flow.Return); err != nil {
		flow.Return = "/"
	}
	return flow
}

// explainedExchange is what the handler knows of a request before it asks a source.
func (h *Handler) explainedExchange(r *http.Request, peer identity.Peer) *exchange {
	ex := &exchange{cookies: r.Header["Cookie"]}
	ex.Peer, ex.Received = peer, time.Now()
	ex.upgrade, _ = shapeOf(r).Check() // an error refuses the request, which the report shows
	ex.Stripped = h.stripRules.Strip(r.Header.Clone(), "", nil)
	ex.scheme, ex.host, ex.site, ex.placed = h.sessions.place(ex.browser(r))
	return ex
}

// whyNotOpened says why a request does not come from a browser that opens a page in a window of its
// own; empty if it does. It says of each request what [browser.StartsLogin] decides.
func whyNotOpened(r browser.Request) string {
	mode, destination := r.Header["Sec-Fetch-Mode"], r.Header["Sec-Fetch-Dest"]
	switch {
	case browser.StartsLogin(r):
		return ""
	case r.Upgrade != "":
		return "it opens a stream (Upgrade), and could not follow a redirect to the issuer"
	case r.Method != http.MethodGet:
		return "its method is " + identity.Quote(r.Method) + ": what it sends would be lost on the way over the issuer"
	case browser.IsPrefetch(r.Header):
		return "the browser asks ahead of time (Sec-Purpose), and the user has not"
	case len(mode) > 0 && !slices.Equal(mode, []string{"navigate"}):
		return "a script or a part of a page asks (Sec-Fetch-Mode: " + identity.Quote(strings.Join(mode, ", ")) +
			"): the redirect to another site would fail there, and the user would not see why"
	case !browser.IsNavigation(r) && (r.Header.Get("X-Requested-With") != "" || r.Header.Get("X-Csrf-Token") != ""):
		return "a script asks (X-Requested-With, X-Csrf-Token): the redirect to another site would fail there, and the user would not see why"
	case !browser.IsNavigation(r):
		return "nothing says that a browser opens a page: it has neither Sec-Fetch-Mode: navigate nor text/html in Accept"
	}
	return "it is for a part of another page (Sec-Fetch-Dest: " + identity.Quote(strings.Join(destination, ", ")) +
		"): issuers refuse to be shown in a frame"
}
