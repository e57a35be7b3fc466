// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// settled is everything that follows from a verdict alone under this configuration: the
// identity as the policy passed it, the lines that injectors always write for it, and the
// values of placeholders. It is derived once, kept beside the verdict ([identity.Memo]) under
// the owner of the source, and shared by requests: nothing in it is ever changed. It has no
// token, so that none stays in memory longer than its request.
type settled struct {
	identity.Identity

	said    identity.User // by the source
	fields  []settledField
	lines   int // how many lines all fields have
	most    int // how many fields are written at most, those for each request included
	provide caddy.ReplacerFunc
}

// settledField is a header field that is always written for the identity.
type settledField struct {
	name  string // canonical
	lines []string
}

// settle applies the policy to an identity, unless that is done: for a verdict that the
// source has kept, this handler has kept what follows from it.
func (h *Handler) settle(src *configuredSource, id *identity.Identity) (*settled, error) {
	// A source of another module may wrap one that keeps verdicts, and change what it says.
	if known, ok := id.Memo.Get(src.owner).(*settled); ok && known.isOf(id) {
		return known, nil
	}
	s := &settled{Identity: *id, said: id.User}
	s.Source, s.Token, s.Memo, s.Original = src.name, identity.Token{}, nil, nil
	return s, h.policy.Check(&s.Identity)
}

// isOf says whether the source said the same of id as of what was settled: who it is, what it
// may be called, and until when.
func (s *settled) isOf(id *identity.Identity) bool {
	return s.said.Is(&id.User) && s.Expires.Equal(id.Expires) && s.Skew == id.Skew &&
		len(s.AllowReserved) == len(id.AllowReserved) &&
		(len(id.AllowReserved) == 0 || &s.AllowReserved[0] == &id.AllowReserved[0])
}

// ready asks the injectors for what they always write for the identity, unless that is done.
func (s *settled) ready(ctx context.Context, src *configuredSource, memo *identity.Memo) error {
	if s.provide != nil {
		return nil
	}
	header := make(http.Header)
	for _, injector := range src.injectors {
		if injector.ofIdentity != nil {
			own := make(http.Header)
			if err := write(ctx, injector.ofIdentity, &s.Identity, own); err != nil {
				return err
			}
			maps.Copy(header, own)
		}
		s.most += injector.most
	}
	s.most += len(header)
	for name, lines := range header {
		s.fields = append(s.fields, settledField{name, lines})
		s.lines += len(lines)
	}
	s.provide = s.placeholders()
	memo.Put(src.owner, s)
	return nil
}

// write writes the fields into header. The lines are copies: a handler behind this one may
// change lines in place, as request_header does to replace a part of one.
func (s *settled) write(header http.Header) {
	lines := make([]string, s.lines)
	for _, field := range s.fields {
		n := copy(lines, field.lines)
		header[field.name], lines = lines[:n:n], lines[n:]
	}
}
