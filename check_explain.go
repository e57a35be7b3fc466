// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// trace is what one kube_identity did with a request. It runs the handler itself, with
// sources that remember what they said, so that what is explained is what would happen.
type trace struct {
	handler *Handler
	before  http.Header
	asked   []answer
	passed  bool
	token   string // the user's own, not to be shown
}

// answer is what a source said.
type answer struct {
	source string
	id     *identity.Identity
	err    error
}

// tracedSource remembers what a source says.
type tracedSource struct {
	identity.Source

	name string
	into *trace
}

// Authenticate implements [identity.Source].
func (s *tracedSource) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	id, err := s.Source.Authenticate(ctx, r)
	s.into.asked = append(s.into.asked, answer{s.name, id, err})
	if id != nil {
		s.into.token = id.Token.Reveal()
	}
	return id, err
}

func newTrace(h *Handler, r *http.Request) *trace {
	t := &trace{handler: h, before: r.Header.Clone()}
	for _, src := range h.sources {
		src.Source = &tracedSource{Source: src.Source, name: src.name, into: t}
	}
	return t
}

func (t *trace) run(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return t.handler.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		t.passed = true
		return next.ServeHTTP(w, r)
	}))
}

// explain follows a request and prints what becomes of it.
func explain(out io.Writer, server *caddyhttp.Server, r *http.Request) (exitCode int) {
	repl := caddy.NewReplacer()
	recorder := httptest.NewRecorder()
	r.URL.Scheme, r.URL.Host = "", ""
	r = caddyhttp.PrepareRequest(r, repl, recorder, server)
	k := &walk{groups: make(map[string]bool)}
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	err := k.compile(server.Routes, end).ServeHTTP(recorder, r)
	p := &printer{out: out}
	for _, note := range k.notes {
		p.line("note: %s", note)
	}
	if k.trace == nil {
		return p.unprotected(k)
	}
	p.taken(k.trace, r.Header)
	p.peer(k.trace, r)
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

func (p *printer) unprotected(k *walk) int {
	answers := k.answers
	if answers == "" {
		answers = "nothing"
	}
	p.line("\nno kube_identity stands in the way of this request: it is answered by %s as it came", answers)
	return exitUnprotected
}

// taken lists the fields that were there before and are not any more, or have less.
func (p *printer) taken(t *trace, after http.Header) {
	p.line("\ntaken off")
	none := true
	for _, name := range slices.Sorted(maps.Keys(t.before)) {
		switch {
		case len(after[name]) == 0:
			p.line("  %s (%s)", name, count(len(t.before[name]), "line"))
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

func (p *printer) peer(t *trace, r *http.Request) {
	peer, err := t.handler.trust.judge(r)
	p.line("\npeer")
	switch {
	case peer.Trusted:
		p.line("  %s is trusted to say who others are", peer)
	case err != nil:
		p.line("  %s is not trusted: %v", peer, err)
	default:
		p.line("  %s is not trusted: what it says of others is dropped", peer)
	}
}

func (p *printer) sources(t *trace) {
	p.line("\nsources")
	for _, asked := range t.asked {
		if asked.err != nil {
			p.line("  %s: %v", asked.source, asked.err)
			continue
		}
		id := asked.id
		p.line("  %s: user %q%s", asked.source, id.Username, groupsText(id.Groups))
		if id.UID != "" {
			p.line("    uid %q", id.UID)
		}
		for _, key := range slices.Sorted(maps.Keys(id.Extra)) {
			p.line("    extra %q: %q", key, id.Extra[key])
		}
		if !id.Expires.IsZero() {
			p.line("    the credential expires, and streams end then")
		}
	}
	if asked := len(t.asked); asked < len(t.handler.sources) {
		for _, src := range t.handler.sources[asked:] {
			p.line("  %s: not asked", src.name)
		}
	}
}

func groupsText(groups []string) string {
	if len(groups) == 0 {
		return ", no groups"
	}
	return fmt.Sprintf(", groups %q", groups)
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
	answers := k.answers
	if answers == "" {
		answers = "nothing: no handler would answer"
	}
	p.line("\nupstream receives, through %s", answers)
	for _, name := range slices.Sorted(maps.Keys(k.sent)) {
		for _, value := range k.sent[name] {
			p.line("  %s: %s", name, k.trace.shown(name, value))
		}
	}
}

// shown hides credentials: what is left of one tells whether two are the same.
func (t *trace) shown(name, value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	switch {
	case name == "Authorization" && found:
		return scheme + " " + hashed(rest)
	case name == "Authorization", name == "Cookie", name == "Proxy-Authorization", name == "X-Api-Key":
		return hashed(value)
	case t.token != "" && strings.Contains(value, t.token):
		return hashed(value)
	}
	return value
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:6]) + "…"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
