// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// explain follows a request and prints what becomes of it.
func explain(out io.Writer, server *caddyhttp.Server, r *http.Request) (exitCode int) {
	p := &printer{out: out}
	p.unseen(dropUnseen(server, r.Header))
	repl := caddy.NewReplacer()
	recorder := httptest.NewRecorder()
	r.URL.Scheme, r.URL.Host = "", ""
	r = caddyhttp.PrepareRequest(r, repl, recorder, server)
	k := &walk{groups: make(map[string]bool)}
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	err := k.compile(server.Routes, end).ServeHTTP(recorder, r)
	for _, note := range k.notes {
		p.line("\nnote: %s", note)
	}
	if k.trace == nil {
		return p.unprotected(k, err)
	}
	p.peer(k.trace, r)
	p.taken(k.trace, r.Header)
	p.sources(k.trace)
	if err != nil || !k.trace.passed {
		return p.refused(err, recorder, repl)
	}
	p.upstream(k)
	return exitGoesOn
}

// printer writes the sections.
type printer struct {
	out io.Writer
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// unseen lists what no handler gets to see.
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
	p.line("\nno kube_identity stands in the way of this request: it is answered by %s as it came", answers)
	if err != nil {
		p.line("  error: %v", err)
	}
	return exitUnprotected
}

func (p *printer) peer(t *trace, r *http.Request) {
	peer, err := t.handler.trust.judge(r)
	t.trusted = peer.Trusted
	p.line("\npeer")
	switch {
	case peer.Trusted:
		p.line("  %s is trusted to say who others are", peer)
	case err != nil:
		p.line("  %s is not trusted: %v", peer, err)
	case !t.handler.trust.configured():
		p.line("  %s is not trusted, as nobody is: there is no trusted_proxies", peer)
	default:
		p.line("  %s is not trusted: what it says of others is dropped", peer)
	}
}

// taken lists the fields that were there before and are not any more, or have less.
func (p *printer) taken(t *trace, after http.Header) {
	p.line("\ntaken off")
	none := true
	for _, name := range slices.Sorted(maps.Keys(t.before)) {
		switch {
		case len(after[name]) == 0:
			p.line("  %s (%s): %s", name, count(len(t.before[name]), "line"), t.reader(name))
		case !slices.Equal(after[name], t.before[name]):
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

func (p *printer) sources(t *trace) {
	p.line("\nsources")
	for _, src := range t.handler.sources {
		at := slices.IndexFunc(t.asked, func(a answer) bool { return a.source == src })
		switch {
		case at < 0:
			p.line("  %s: not asked", src.name)
		case errors.Is(t.asked[at].err, identity.ErrAbsent):
			p.line("  %s: %v; it reads %s", src.name, t.asked[at].err, reads(src))
		case t.asked[at].err != nil:
			p.line("  %s: %v", src.name, t.asked[at].err)
		default:
			p.identity(t.asked[at])
		}
	}
}

func reads(src *source) string {
	if names := src.Reads().Names; len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return "nothing of the header, but the TLS handshake or nothing at all"
}

// identity prints what a source said, which policy may have made less of.
func (p *printer) identity(a answer) {
	p.line("  %s: user %q", a.source.name, a.said.Username)
	if len(a.said.Groups) > 0 {
		p.line("    groups %q", a.said.Groups)
	}
	left := slices.DeleteFunc(slices.Clone(a.said.Groups), func(group string) bool { return slices.Contains(a.id.Groups, group) })
	if len(left) > 0 {
		p.line("    left out, since allow_groups does not have them: %q", left)
	}
	for _, attribute := range []struct{ name, value string }{
		{"uid", a.said.UID}, {"email", a.said.Email}, {"name", a.said.Name}, {"preferred_username", a.said.PreferredUsername},
	} {
		if attribute.value != "" {
			p.line("    %s %q", attribute.name, attribute.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.said.Extra)) {
		p.line("    extra %q: %q", key, a.said.Extra[key])
	}
	if !a.said.Expires.IsZero() {
		p.line("    the credential expires, and streams end then")
	}
}

// refused prints the answer that the client would get, and the reason that it would not.
func (p *printer) refused(err error, recorder *httptest.ResponseRecorder, repl *caddy.Replacer) int {
	p.line("\nrefused")
	status := recorder.Code
	if handled, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status = handled.StatusCode
	} else if err != nil {
		status = http.StatusInternalServerError
		p.line("  error: %v", err)
	}
	if reason, ok := repl.GetString("http.kube_identity.reason"); ok {
		p.line("  reason: %s", reason)
	}
	p.line("  the client gets %d %s", status, http.StatusText(status))
	for _, name := range []string{"Location", "WWW-Authenticate", "Retry-After", "Allow"} {
		if value := recorder.Header().Get(name); value != "" {
			p.line("    %s: %s", name, value)
		}
	}
	if status >= http.StatusInternalServerError {
		return exitUndecided
	}
	return exitRefused
}

// upstream prints the fields that go on, as they are when the next handler that would
// answer has its turn.
func (p *printer) upstream(k *walk) {
	if k.answers == "" {
		p.line("\nnobody would answer: there is no handler behind kube_identity")
		return
	}
	p.line("\nupstream receives, through %s", k.answers)
	for _, name := range slices.Sorted(maps.Keys(k.sent)) {
		for _, value := range k.sent[name] {
			p.line("  %s: %s", name, k.trace.shown(name, value))
		}
	}
	if k.answers == "reverse_proxy" {
		p.line("  and what reverse_proxy adds: X-Forwarded-For and the like, and its own header_up")
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
