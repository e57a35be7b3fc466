// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// explainTrust says which peers are trusted.
func (h *Handler) explainTrust(report *command.Report) {
	report.Trusted = words(h.trust.currentRanges())
	if h.trust.unix {
		report.Trusted = append(report.Trusted, "unix sockets")
	}
	report.TrustedByCert = h.trust.ca != nil
}

// explainPolicy says which option would let a proven identity pass that the policy refuses.
func (h *Handler) explainPolicy(report *command.Report) {
	report.AllowGroups = h.AllowGroups
	for n := range report.Sources {
		src := &report.Sources[n]
		if !src.Asked || src.Err != nil {
			continue
		}
		id := src.Said.Clone()
		if err := h.policy.Check(&id); err != nil {
			report.Policy, report.Hints = err.Error(), h.policyHints(&src.Said, err.Error())
		}
	}
}

// policyHints has a line for each option that decides about names.
func (h *Handler) policyHints(id *identity.Identity, reason string) []string {
	var hints []string
	for _, name := range slices.Concat([]string{id.Username}, id.Groups) {
		if mayDoEverything(name) { // the line would be taken from here
			hints = append(hints, fmt.Sprintf("%s may do everything in a cluster: no client should be it, so find out why this source says it", identity.Quote(name)))
			continue
		}
		if identity.IsReserved(name) && !slices.Contains(h.AllowReserved, name) && !slices.Contains(id.AllowReserved, name) {
			hints = append(hints, fmt.Sprintf("'allow_reserved %s' lets this name of Kubernetes' own pass; do so only if this source may say it", identity.Quote(name)))
		}
	}
	for _, denied := range []struct {
		option   string
		patterns []string
		names    []string
	}{{"deny_users", h.DenyUsers, []string{id.Username}}, {"deny_groups", h.DenyGroups, id.Groups}} {
		for _, pattern := range denied.patterns {
			if slices.ContainsFunc(denied.names, identity.Patterns{pattern}.Match) {
				hints = append(hints, fmt.Sprintf("%s has %s", denied.option, identity.Quote(pattern)))
			}
		}
	}
	for _, option := range []string{"require_users", "require_groups"} {
		if strings.Contains(reason, option) {
			hints = append(hints, fmt.Sprintf("%s has %s", option, h.option(option)))
		}
	}
	if strings.Contains(reason, "max_groups") || strings.Contains(reason, "bytes, more than") {
		hints = append(hints, "allow_groups, with the groups that the upstream knows, leaves all others out")
	}
	return hints
}

// mayDoEverything says whether a reserved name is that of the administrators of each cluster of
// a kind; see [identity.ReservedPrefixes].
func mayDoEverything(name string) bool {
	return slices.ContainsFunc([]string{
		"system:masters", "system:cluster-admins", "system:admin", "kubeadm:cluster-admins", "eks:addon-manager",
		"gardener.cloud:system:admins", "gardener.cloud:project:admins", "clusterAdmin", "clusterUser", "kube:admin",
	}, func(all string) bool { return strings.EqualFold(all, name) })
}

// option is the value of an option as JSON has it: so one needs no line here.
func (h *Handler) option(name string) string {
	var options map[string]json.RawMessage
	content, err := json.Marshal(h)
	if err != nil || json.Unmarshal(content, &options) != nil {
		return "no value"
	}
	return strings.Trim(string(options[name]), "[]")
}

// explainNavigation says what a browser gets that opens the page, where the request is not
// described as a browser's. The sources must be the handler's own yet.
func (h *Handler) explainNavigation(r *http.Request, report *command.Report) {
	_, asked := asItCame(r)
	described := browser.Request{Method: r.Method, Host: r.Host, TLS: r.TLS != nil, Header: r.Header, Peer: report.Peer}
	if browser.IsNavigation(described) || r.Method != http.MethodGet {
		return
	}
	opens := described
	opens.Header = r.Header.Clone()
	for name, value := range map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"} {
		opens.Header.Set(name, value)
	}
	if location := h.login.Location(opens, asked, identity.ErrAbsent); location != "" {
		report.Navigation, _, _ = strings.Cut(location, "?")
	} else if h.sessions != nil && browser.StartsLogin(opens) {
		report.Navigation = "the issuer " + h.sessions.logins[0].Issuer
		if len(h.sessions.logins) > 1 {
			report.Navigation = "a page on which the user chooses an issuer"
		}
	}
}
