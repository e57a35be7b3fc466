// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

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
	trusted bool
	token   string // the user's own, not to be shown
}

// answer is what a source said.
type answer struct {
	source *source
	said   identity.Identity
	id     *identity.Identity // the same, of which policy may leave something out
	err    error
}

// tracedSource remembers what a source says.
type tracedSource struct {
	identity.Source

	of   *source
	into *trace
}

// Authenticate implements [identity.Source].
func (s *tracedSource) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	id, err := s.Source.Authenticate(ctx, r)
	said := answer{source: s.of, id: id, err: err}
	if id != nil {
		said.said = *id
		s.into.token = id.Token.Reveal()
	}
	s.into.asked = append(s.into.asked, said)
	return id, err
}

func newTrace(h *Handler, r *http.Request) *trace {
	t := &trace{handler: h, before: r.Header.Clone()}
	for _, src := range h.sources {
		src.Source = &tracedSource{Source: src.Source, of: src, into: t}
	}
	return t
}

func (t *trace) run(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return t.handler.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		t.passed = true
		return next.ServeHTTP(w, r)
	}))
}

// reader says who reads a field that was taken off.
func (t *trace) reader(name string) string {
	if !t.trusted && t.handler.proxyOnly != nil && t.handler.proxyOnly.Match(name) {
		return "not believed, since the peer is not trusted"
	}
	for _, src := range t.handler.sources {
		if slices.ContainsFunc(src.Reads().Names, func(pattern string) bool {
			prefix, isPrefix := strings.CutSuffix(pattern, "*")
			return strings.EqualFold(pattern, name) || isPrefix && strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix))
		}) {
			return "for the source " + src.name
		}
	}
	if name == "Connection" {
		return "written anew, since it may name fields to delete"
	}
	return "no source reads it"
}

// shown hides credentials: what is left of one tells whether two are the same. Of a field
// that this project does not know the name tells.
func (t *trace) shown(name, value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	switch {
	case name == "Authorization" && found:
		return scheme + " " + hashed(rest)
	case name == "Authorization", name == "Proxy-Authorization", secret(name), t.token != "" && strings.Contains(value, t.token):
		return hashed(value)
	}
	return value
}

func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"cookie", "token", "secret", "passw", "credential", "session", "assertion", "api-key", "apikey"},
		func(part string) bool { return strings.Contains(name, part) })
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:6]) + "…"
}

// dropUnseen takes off what Caddy's server does before any handler has its turn, and
// returns the names: those with "_" or ".", but for what the configuration expects, of
// which it takes the spelling with "-" off.
func dropUnseen(server *caddyhttp.Server, header http.Header) []string {
	var dropped []string
	for name, lines := range header {
		underscore, dot := strings.Contains(name, "_"), strings.Contains(name, ".")
		var keep bool
		switch {
		case underscore && dot:
			expected := slices.Concat(server.ExpectedUnderscoreHeaders, server.ExpectedDotHeaders)
			keep = len(lines) == 1 && slices.ContainsFunc(expected, func(e string) bool { return strings.EqualFold(e, name) })
		case underscore:
			keep = len(lines) == 1 && expects(server.ExpectedUnderscoreHeaders, name, "")
		case dot:
			keep = len(lines) == 1 && expects(server.ExpectedDotHeaders, name, "")
		default:
			keep = !expects(server.ExpectedUnderscoreHeaders, name, "_") && !expects(server.ExpectedDotHeaders, name, ".")
		}
		if !keep {
			dropped = append(dropped, name)
			delete(header, name)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// expects says whether one of expected is for name, with "-" in place of separator where
// there is one.
func expects(expected []string, name, separator string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(expected, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		if separator != "" {
			pattern = strings.ReplaceAll(pattern, separator, "-")
		}
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		return pattern == name || isPrefix && strings.HasPrefix(name, prefix)
	})
}
