// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

// print prints what became of a request, and returns the exit code.
func (o *outcome) print(p *printer) (exitCode int) {
	k := o.walk
	p.unseen(o.unseen)
	p.notes(k)
	switch {
	case k.report != nil:
		exitCode = p.guarded(o)
	case k.before != "" && len(k.guards) > 0:
		exitCode = p.before(k)
	case k.ended != 0:
		exitCode = p.ended(k.ended)
	default:
		exitCode = p.unprotected(k, o.err)
	}
	p.besides(o)
	return exitCode
}

// guarded is for a request that meets a kube_identity.
func (p *printer) guarded(o *outcome) int {
	k := o.walk
	p.earlier(k)
	if session := k.report.Session; session != nil && session.Own != nil {
		p.session(session)
		return p.own(session.Own)
	}
	p.peer(k.report)
	p.stripped(k.report)
	p.sources(k.report)
	p.reviews(k.report.Reviews)
	p.logins(k.report.Login)
	p.session(k.report.Session)
	p.logged(k.report)
	if session := k.report.Session; session != nil && session.MustRefresh && !session.Explicit && !k.report.Passed {
		return exitBefore
	}
	if !o.passed() {
		return p.refused(o)
	}
	if k.report.Answer != nil {
		p.answer(k.report)
		return exitForwarded
	}
	if k.before != "" {
		return p.after(k)
	}
	p.upstream(k)
	return exitForwarded
}

// unseen lists the fields that Caddy removes before any handler.
func (p *printer) unseen(names []string) {
	if len(names) == 0 {
		return
	}
	p.section("dropped by Caddy before any handler")
	for _, name := range names {
		p.line("  %s: '_' and '.' in a name may be read as '-' (expected_underscore_headers, expected_dot_headers)", name)
	}
}

func (p *printer) unprotected(k *walk, err error) int {
	answers := k.answers
	if answers == "" {
		answers = "nothing"
	}
	p.line("\n%s: it is answered by %s as it came", p.in(care, "no kube_identity guards the route of this request"), answers)
	if err != nil {
		p.line("  error: %v", err)
	}
	return exitUnprotected
}

// notes says what was not run, and what was described in vain.
func (p *printer) notes(k *walk) {
	for _, note := range k.notes {
		p.line("\nnote: %s", note)
	}
}
