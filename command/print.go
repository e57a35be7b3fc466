// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// print prints what became of a request, and returns the exit code.
func (o *outcome) print(out io.Writer) (exitCode int) {
	p, k := &printer{out: out}, o.walk
	p.unseen(o.unseen)
	p.notes(k)
	if k.report == nil && k.before != "" && len(k.guards) > 0 {
		return p.before(k)
	}
	if k.report == nil && k.ended != 0 {
		return p.ended(k.ended)
	}
	if k.report == nil {
		return p.unprotected(k, o.err)
	}
	if session := k.report.Session; session != nil && session.Own != "" {
		p.session(session)
		return p.own(session)
	}
	p.peer(k.report)
	p.stripped(k.report, o.after)
	p.sources(k.report)
	p.reviews(k.report.Reviews)
	p.logins(k.report.Login)
	p.session(k.report.Session)
	p.logged(k.report)
	if session := k.report.Session; session != nil && session.MustRefresh && !session.Explicit && !k.report.Passed {
		return exitBefore
	}
	if o.err != nil || !k.report.Passed {
		return p.refused(o)
	}
	if k.report.Answer != nil {
		p.answer(k.report.Answer)
		return exitForwarded
	}
	p.upstream(k)
	return exitForwarded
}

// printer writes the sections.
type printer struct {
	out io.Writer
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// unseen lists the fields that Caddy removes before any handler.
func (p *printer) unseen(names []string) {
	if len(names) == 0 {
		return
	}
	p.line("\ndropped by Caddy before any handler")
	for _, name := range names {
		p.line("  %s: '_' and '.' in a name may be read as '-' (expected_underscore_headers, expected_dot_headers)", name)
	}
}

func (p *printer) unprotected(k *walk, err error) int {
	answers := k.answers
	if answers == "" {
		answers = "nothing"
	}
	p.line("\nno kube_identity guards the route of this request: it is answered by %s as it came", answers)
	if err != nil {
		p.line("  error: %v", err)
	}
	return exitUnprotected
}

func (p *printer) peer(report *Report) {
	p.line("\npeer")
	switch {
	case report.Peer.Trusted:
		p.line("  %s is trusted to assert a client's identity", report.Peer)
	case report.PeerErr != nil:
		p.line("  %s is not trusted: %v", report.Peer, report.PeerErr)
	case report.NoneTrusted:
		p.line("  %s is not trusted: the configuration trusts no peer (no trusted_proxies)", report.Peer)
	default:
		p.line("  %s is not trusted: what it asserts about a client is dropped", report.Peer)
		p.trusted(report)
	}
}

// stripped lists the fields that were there before and are not any more, or have less.
func (p *printer) stripped(report *Report, after http.Header) {
	p.line("\nstripped")
	none := true
	for _, name := range slices.Sorted(maps.Keys(report.Before)) {
		switch {
		case len(after[name]) == 0:
			p.line("  %s (%s): %s", name, count(len(report.Before[name]), "line"), report.reader(name))
		case !slices.Equal(after[name], report.Before[name]):
			p.line("  %s: part of it", name)
		default:
			continue
		}
		none = false
	}
	if none {
		p.line("  nothing")
	}
}

func (p *printer) sources(report *Report) {
	p.line("\nsources")
	for n := range report.Sources {
		switch src := &report.Sources[n]; {
		case !src.Asked:
			p.line("  %s: not asked", src.title())
		case errors.Is(src.Err, identity.ErrAbsent):
			p.line("  %s: %v; it reads %s", src.title(), src.Err, reads(src))
		case src.Err != nil:
			p.line("  %s: %v", src.title(), src.Err)
		default:
			p.identity(report, src)
		}
		p.hints(report.Sources[n].Hints)
	}
}

func reads(src *SourceReport) string {
	if all := slices.Concat(src.Reads, src.Besides); len(all) > 0 {
		return strings.Join(all, ", ")
	}
	return "nothing of the request that check knows of"
}

// notes says what was not run, and what was described in vain.
func (p *printer) notes(k *walk) {
	for _, note := range k.notes {
		p.line("\nnote: %s", note)
	}
}

// identity prints the identity from a source, and the groups that the policy left out.
func (p *printer) identity(report *Report, src *SourceReport) {
	p.line("  %s: user %q", src.title(), src.Said.Username)
	if len(src.Said.Groups) > 0 {
		p.line("    groups %q", src.Said.Groups)
	}
	for _, remark := range src.Remarks {
		p.line("    %s", remark)
	}
	left := slices.DeleteFunc(slices.Clone(src.Said.Groups), func(group string) bool { return slices.Contains(src.ID.Groups, group) })
	if len(left) > 0 {
		p.line("    left out, since allow_groups does not have them: %q; it has %q", left, report.AllowGroups)
	}
	for _, attribute := range []struct{ name, value string }{
		{"uid", src.Said.UID}, {"email", src.Said.Email}, {"name", src.Said.Name}, {"preferred_username", src.Said.PreferredUsername},
	} {
		if attribute.value != "" {
			p.line("    %s %q", attribute.name, attribute.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(src.Said.Extra)) {
		p.line("    extra %q: %q", key, src.Said.Extra[key])
	}
	p.expiry(report, &src.Said)
}

// logged says which lines of the configuration hide tokens in Caddy's logs.
func (p *printer) logged(report *Report) {
	if len(report.Logged) == 0 {
		return
	}
	p.line("\nlogged")
	p.line("  %s: Caddy's logs show the token that is injected, unless these lines are in the global options", strings.Join(report.Logged, ", "))
	for _, line := range guest.LogFilter(report.Logged) {
		p.line("    %s", strings.ReplaceAll(line, "\t", "  "))
	}
}

// refused prints the response that the client would get, and the reason, which it would
// not.
func (p *printer) refused(o *outcome) int {
	p.line("\nrefused")
	report, status := o.walk.report, o.status()
	if _, handled := errors.AsType[caddyhttp.HandlerError](o.err); o.err != nil && !handled {
		p.line("  error: %v", o.err)
	}
	if reason := o.reason(); reason != "" {
		p.line("  reason: %s", reason)
		if reason == report.Policy {
			p.hints(report.Hints)
		}
	}
	p.line("  the client gets %d %s", status, http.StatusText(status))
	for _, name := range answerFields {
		if value := o.recorder.Header().Get(name); value != "" {
			p.line("    %s: %s", name, withoutState(value))
		}
	}
	if status == http.StatusUnauthorized && report.Navigation != "" {
		p.line("  a browser without a credential that opens this page is sent to log in, at %s: describe one by -H 'Sec-Fetch-Mode: navigate'", report.Navigation)
	}
	if status >= http.StatusInternalServerError {
		return exitUndecided
	}
	return exitRefused
}

// upstream prints the fields that are forwarded, as they are when the handler that would
// answer is called.
func (p *printer) upstream(k *walk) {
	if k.answers == "" {
		p.line("\nno handler would answer: there is none behind kube_identity")
		return
	}
	p.line("\nupstream receives, through %s", k.answers)
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
func (p *printer) answer(fields http.Header) {
	p.line("\nthe front proxy that asks gets 200 %s, with these fields", http.StatusText(http.StatusOK))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p.line("  %s: %s", name, strings.Join(fields[name], "; "))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
