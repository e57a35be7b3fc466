// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// refused prints the response that the client would get, and the reason, which it would
// not.
func (p *printer) refused(o *outcome) int {
	report, status := o.walk.report, o.status()
	_, begins := o.login()
	leads, colour := begins || status/100 == 3, bad
	if leads {
		colour = care
	}
	p.flow(o)
	p.section(map[bool]string{true: "sent to log in", false: "refused"}[leads])
	if _, handled := errors.AsType[caddyhttp.HandlerError](o.err); o.err != nil && !handled {
		p.line("  error: %v", o.err)
	}
	if reason := o.reason(); reason != "" {
		p.line("  reason: %s", reason)
		if reason == report.Policy {
			p.hints(report.Hints)
		}
	}
	p.line("  the client gets %s", p.in(colour, statusLine(status)))
	for _, name := range answerFields {
		if value := o.recorder.Header().Get(name); value != "" {
			p.line("    %s: %s", name, withoutQuery(value))
		}
	}
	if status == http.StatusUnauthorized && report.Navigation != "" {
		p.line("  a browser without a credential that opens this page is sent to log in, at %s: describe one by -H 'Sec-Fetch-Mode: navigate'", report.Navigation)
	}
	p.behind(o.walk, status)
	if o.reason() != "" {
		p.line("  docs/troubleshooting.md has the reason, what it means, and what to do")
	}
	if status >= http.StatusInternalServerError {
		return exitUndecided
	}
	return exitRefused
}

// behind is for pages that often are meant for all, and that the order of directives puts behind
// kube_identity.
func (p *printer) behind(k *walk, status int) {
	switch k.behind {
	case "static_response", "metrics", "kube_identity_ready":
		if status == http.StatusUnauthorized || status/100 == 3 {
			p.hints([]string{directive(k.behind) + " would answer the request, and sorts behind kube_identity: " +
				"if the page is meant for all, let the matcher of kube_identity leave its path out"})
		}
	}
	switch {
	case len(k.reports) > 1:
		p.hints([]string{"let the matchers of the kube_identity exclude each other: a request passes one of them"})
	case len(k.guards) > 1:
		p.hints([]string{"another kube_identity comes behind this one, and would refuse the request: let their matchers exclude each other"})
	}
}

func statusLine(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }

// upstream prints the fields that are forwarded, as they are when the handler that would
// answer is called.
func (p *printer) upstream(k *walk) {
	if k.answers == "" {
		p.line("\nno handler would answer: there is none behind kube_identity")
		return
	}
	switch k.answers {
	case "static_response", "file_server", "error", "metrics", "kube_identity_ready", "kube_identity_whoami":
		p.line("\n%s, and sees", p.in(good, directive(k.answers)+" answers"))
	default:
		p.line("\n%s, through %s", p.in(good, "upstream receives"), k.answers)
	}
	for _, name := range slices.Sorted(maps.Keys(k.sent)) {
		for _, value := range k.sent[name] {
			p.line("  %s: %s", name, k.report.shown(name, value))
		}
	}
	if k.answers == "reverse_proxy" {
		p.line("  and what reverse_proxy adds: X-Forwarded-For and the like, and its own header_up")
	}
}

// answer prints the fields of the response.
func (p *printer) answer(report *Report) {
	fields := report.Answer
	p.line("\nthe front proxy that asks gets %s, with these fields", p.in(good, "200 "+http.StatusText(http.StatusOK)))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		shown := make([]string, len(fields[name]))
		for n, value := range fields[name] {
			shown[n] = report.shown(name, value)
		}
		p.line("  %s: %s", name, strings.Join(shown, "; "))
	}
}

func ordinal(n, of int) string { return fmt.Sprintf("%d of %d", n+1, of) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
