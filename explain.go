// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Explain serves a request as ServeHTTP does and reports what became of it, for the
// command check. The sources are replaced by ones that remember what they answered;
// afterwards the handler must not serve requests.
func (h *Handler) Explain(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (*command.Report, error) {
	report := &command.Report{
		Title:       h.title,
		Before:      r.Header.Clone(),
		After:       r.Header,
		NoneTrusted: !h.trust.configured(),
		ProxyOnly:   h.proxyOnly,
		Logged:      h.loggedTokens(),
		Login:       h.explainLogins(r),
		KeepStreams: h.KeepStreams,
	}
	report.Peer, report.PeerErr = h.trust.peer(r, true)
	h.explainReviews(report)
	h.explainTrust(report)
	h.explainNavigation(r, report)
	report.Flow = h.explainFlow(r, report.Peer)
	if report.Session = h.explainSession(r, report.Peer); report.Session != nil && report.Session.Own != nil {
		return report, nil
	}
	report.Sources = make([]command.SourceReport, len(h.sources))
	for n, src := range h.sources {
		report.Sources[n] = command.SourceReport{Name: src.name, Reads: src.Reads().Names, Besides: readsBesides(src), Issuer: issuerOf(src)}
		src.Source = &explained{Source: src.Source, sends: src.sends, answer: &report.Sources[n], report: report, settle: func(id *identity.Identity) *identity.Identity {
			who, _ := h.settle(src, id) // an error refuses the request, which the report shows
			return &who.Identity
		}}
	}
	if answer := h.answer; answer != nil {
		h.answer = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			report.Passed, report.Answer = true, r.Header
			return answer.ServeHTTP(w, r)
		})
	}
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		report.Passed = true
		return next.ServeHTTP(w, r)
	}))
	h.explainPolicy(report)
	return report, err
}

// Placeholders implements [command.Explainer].
func (h *Handler) Placeholders() []string {
	var names []string
	for _, src := range h.sources {
		for _, what := range readsBesides(src) {
			if name, found := strings.CutPrefix(what, "{"); found {
				names = append(names, strings.TrimSuffix(name, "}"))
			}
		}
	}
	return names
}

func readsBesides(src *configuredSource) []string {
	if reader, ok := src.Source.(guest.Reader); ok {
		return reader.ReadsBesides()
	}
	return nil
}

func issuerOf(src *configuredSource) string {
	if of, ok := src.Source.(identity.TokenIssuer); ok {
		if issuers := of.TokenIssuers(); len(issuers) == 1 {
			return issuers[0]
		}
	}
	return ""
}

// explained is a source that remembers what it answered.
type explained struct {
	identity.Source

	sends  bool // the upstream judges its tokens, too
	answer *command.SourceReport
	report *command.Report
	settle func(*identity.Identity) *identity.Identity
}

// Authenticate implements [identity.Source].
func (e *explained) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	id, err := e.Source.Authenticate(ctx, r)
	e.answer.Asked, e.answer.Err = true, err
	if remarker, ok := e.Source.(identity.Remarker); ok {
		e.answer.Remarks = remarker.Remarks()
	}
	if hinter, ok := e.Source.(guest.Hinter); ok {
		e.answer.Hints = hinter.Hints(r, err)
	}
	if id != nil {
		e.answer.Said, e.answer.ID = *id, e.settle(id)
		e.report.Token = id.Token.Reveal()
		if e.sends {
			e.answer.Said.Skew = 0
		}
	}
	return id, err
}

// Interface guards
var _ command.Explainer = (*Handler)(nil)
