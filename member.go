// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// GiveDetails has the handler hand over what it finds out to a handler behind it, in the
// context of the requests that it forwards ([guest.PassedKey]). It is called while the
// configuration is loaded.
func (h *Handler) GiveDetails() { h.details = true }

// Inspect implements [guest.Inspector]: the peers that are trusted, and what sources and
// injectors keep for this configuration alone.
func (h *Handler) Inspect(into *guest.State) {
	state := guest.HandlerState{
		Handler: h.title, Sources: []string{}, TrustedRanges: []string{},
		TrustedUnix: h.trust.unix && h.trust.unixOnly, TrustedCert: h.trust.ca != nil, TrustedCertNames: h.trust.certNames,
	}
	for _, src := range h.sources {
		state.Sources = append(state.Sources, src.name)
	}
	for _, prefix := range h.trust.currentRanges() {
		state.TrustedRanges = append(state.TrustedRanges, prefix.String())
	}
	into.Handlers = append(into.Handlers, state)
	for _, part := range h.parts() {
		if inspector, ok := part.(guest.Inspector); ok {
			inspector.Inspect(into)
		}
	}
}

// Flush implements [guest.Flusher] for the sources that keep verdicts for this configuration
// alone. What the handler derived from a verdict is kept beside it, and goes with it.
func (h *Handler) Flush(what guest.Flush) guest.Flushed {
	var dropped guest.Flushed
	for _, part := range h.parts() {
		if flusher, ok := part.(guest.Flusher); ok {
			dropped.Add(flusher.Flush(what))
		}
	}
	return dropped
}

// Ready implements [guest.Readier].
func (h *Handler) Ready(ctx context.Context, now time.Time) []guest.Condition {
	var all []guest.Condition
	for _, part := range h.parts() {
		if readier, ok := part.(guest.Readier); ok {
			all = append(all, readier.Ready(ctx, now)...)
		}
	}
	return all
}

// parts are the guests.
func (h *Handler) parts() []any {
	var parts []any
	for _, src := range h.sources {
		parts = append(parts, src.Source)
	}
	for _, injector := range h.injectors {
		parts = append(parts, injector)
	}
	return parts
}

// Inspect implements [guest.Inspector].
func (s *sessionState) Inspect(into *guest.State) {
	s.mu.Lock()
	state := guest.SessionsState{Sites: len(s.members)}
	s.mu.Unlock()
	state.Ready = s.isReady()
	into.Sessions = append(into.Sessions, state)
}

// Interface guards
var (
	_ guest.Inspector = (*Handler)(nil)
	_ guest.Flusher   = (*Handler)(nil)
	_ guest.Readier   = (*Handler)(nil)
	_ guest.Detailer  = (*Handler)(nil)
	_ guest.Inspector = (*sessionState)(nil)
)
