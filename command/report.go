// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// Explainer is the handler, as check sees it: it serves a request as always, and reports
// what it did with it.
type Explainer interface {
	Explain(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (*Report, error)

	// Placeholders are those that its sources read, without braces.
	Placeholders() []string
}

// Report is what one kube_identity did with a request.
type Report struct {
	// Title has the words of the handler's block.
	Title string

	// Before is the header as it came, and After as it is without what was stripped, which
	// error routes would see.
	Before, After http.Header

	// Peer is the direct peer; PeerErr tells why its certificate did not make it trusted.
	// NoneTrusted says that the configuration trusts no peer.
	Peer        identity.Peer
	PeerErr     error
	NoneTrusted bool

	// Trusted are the peers that the configuration trusts. TrustedByCert says that their
	// certificate counts, too, or alone.
	Trusted       []string
	TrustedByCert bool

	// ProxyOnly are the fields that are dropped unless the peer is trusted; nil if
	// there are none.
	ProxyOnly *identity.Names

	// Policy is why the policy refuses the identity; empty: it does not. Hints are the options
	// that would let it pass.
	Policy string
	Hints  []string

	// AllowGroups are the only groups that are injected; nil: all.
	AllowGroups []string

	// Navigation is where a browser is sent to log in that opens the page; empty: it is not, or
	// the request is described as a browser's.
	Navigation string

	// KeepStreams says that streams go on when the credential has ended.
	KeepStreams bool

	// Logged are the fields with tokens that Caddy's logs show.
	Logged []string

	// Login is how browsers log in; nil if they do not.
	Login *LoginReport

	// Flow is the way of a request without an identity; nil if browsers do not log in.
	Flow *LoginFlow

	// Session is what the session cookies of the request are worth; nil if browsers do not log in.
	Session *SessionReport

	// Sources are all sources, in order, with their answers.
	Sources []SourceReport

	// Reviewed says that the client's own Impersonate-* count; Reviews are what the API server
	// was asked about them.
	Reviewed bool
	Reviews  []ReviewReport

	// Passed says that the request was forwarded to the next handler.
	Passed bool

	// Answer has the fields with which a front proxy was answered; nil: it was not.
	Answer http.Header

	// Token is the user's own, which is not to be shown.
	Token string

	injected []string // fields that another kube_identity has injected before
}

// ReviewReport is one question: what the client would impersonate, and why it may not.
type ReviewReport struct {
	What kubernetes.ResourceAttributes
	Err  error
}

// SourceReport is one source of the handler, and what it answered.
type SourceReport struct {
	Name  string
	Reads []string
	Asked bool

	// Issuer is that of all its tokens; empty: it has several, or takes other credentials.
	Issuer string

	// Hints are what led to the error; see [guest.Hinter].
	Hints []string

	// Besides is what it reads that is not a field of the header; see [guest.Reader].
	Besides []string
	Err     error

	// Said is the identity from the source. ID is the identity after the policy.
	Said identity.Identity
	ID   *identity.Identity

	// Remarks are what the source noticed about its configuration; see [identity.Remarker].
	Remarks []string
}

// reader says who reads a field that was stripped.
func (r *Report) reader(name string) string {
	if slices.Contains(r.injected, name) {
		return "injected by the kube_identity before"
	}
	if !r.Peer.Trusted && r.ProxyOnly != nil && r.ProxyOnly.Match(name) {
		return "not believed, since the peer is not trusted"
	}
	for _, src := range r.Sources {
		if slices.ContainsFunc(src.Reads, func(pattern string) bool { return matches(pattern, name) }) {
			return "for the source " + src.Name
		}
	}
	if r.Reviewed && matches("Impersonate-*", name) {
		return "for client_impersonation review"
	}
	if name == "Cookie" && r.Session != nil && r.Session.Present {
		return "for the session"
	}
	if name == "Connection" {
		return "rewritten, since it may name fields to delete"
	}
	return "no source reads it"
}

func matches(pattern, name string) bool {
	prefix, isPrefix := strings.CutSuffix(pattern, "*")
	return strings.EqualFold(pattern, name) ||
		isPrefix && strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix))
}
