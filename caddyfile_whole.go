// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// places remembers where in a Caddyfile the guests of a handler begin, so that an error about
// what they are together names file and line. Validate has the same checks for JSON.
type places struct {
	block, latest      caddyfile.Token
	sources, injectors []caddyfile.Token
}

// at notes where the next option of the block begins. What has been added to the handler since
// then began at the one before.
func (p *places) at(next caddyfile.Token, h *Handler) {
	for len(p.sources) < len(h.SourcesRaw) {
		p.sources = append(p.sources, p.latest)
	}
	for len(p.injectors) < len(h.InjectorsRaw) {
		p.injectors = append(p.injectors, p.latest)
	}
	p.latest = next
}

// noting makes each parser of the block note where its option begins.
func (p *places) noting(h *Handler, words option.Options) option.Options {
	noted := make(option.Options, len(words))
	for word, parse := range words {
		noted[word] = func(d *caddyfile.Dispenser) error {
			p.at(d.Token(), h)
			return parse(d)
		}
	}
	return noted
}

// errorAt names the file and line of a token, whatever a parser has read meanwhile.
func errorAt(at caddyfile.Token, err error) error {
	d := caddyfile.NewDispenser([]caddyfile.Token{at})
	d.Next()
	return d.WrapErr(err)
}

// check judges the handler that the block has configured. A third party's guest may not be able
// to answer before it is provisioned: then all of it is judged when the configuration is loaded.
func (p *places) check(h *Handler) error {
	p.at(p.latest, h)
	if err := h.checkPresent(); err != nil {
		return errorAt(p.block, err)
	}
	early := h.early()
	if early == nil {
		return nil
	}
	for n, injector := range early.injectors {
		if err := early.checkInjector(injector); err != nil {
			return errorAt(p.injectors[n], err)
		}
	}
	for n, src := range early.sources {
		if err := early.checkBelieved(src, h.trustsPeers()); err != nil {
			return errorAt(p.sources[n], err)
		}
		if err := early.checkEarlySource(n, src); err != nil {
			return errorAt(p.sources[n], err)
		}
	}
	return nil
}

// trustsPeers says whether the options, before they are loaded, can trust any peer.
func (h *Handler) trustsPeers() bool {
	return h.TrustedProxiesRaw != nil || h.TrustedProxiesUnix || h.TrustedProxyCert != nil
}

// trustChecker is implemented by a source that reads placeholders for which the operator vouches.
type trustChecker interface{ CheckTrusted(names []string) error }

func (h *Handler) checkEarlySource(n int, src *configuredSource) error {
	if checker, ok := src.Source.(trustChecker); ok {
		if err := checker.CheckTrusted(h.TrustedPlaceholder); err != nil {
			return err
		}
	}
	return h.checkSource(n)
}

// early returns a handler with guests that are not provisioned, which answer what they read and
// write; nil if one of them cannot, or if the sources of an injector are in a placeholder.
func (h *Handler) early() *Handler {
	early := &Handler{TrustedPlaceholder: h.TrustedPlaceholder, AllowReserved: h.AllowReserved}
	for _, raw := range h.SourcesRaw {
		name, module := earlyGuest(raw, guest.Sources, "source")
		src, ok := module.(identity.Source)
		if !ok {
			return nil
		}
		early.sources = append(early.sources, &configuredSource{Source: src, name: name})
	}
	for _, raw := range h.InjectorsRaw {
		_, module := earlyGuest(raw, guest.Injectors, "injector")
		injector, ok := module.(Injector)
		if !ok || slices.ContainsFunc(injector.ForSources(), option.HasPlaceholder) {
			return nil
		}
		early.injectors = append(early.injectors, injector)
		early.assign(injector)
	}
	return early
}

// earlyGuest makes a guest of its JSON. It is nil if it cannot be asked yet.
func earlyGuest(raw json.RawMessage, namespace, key string) (name string, module caddy.Module) {
	name = guestName(raw, key)
	info, err := caddy.GetModule(namespace + "." + name)
	if err != nil {
		return "", nil
	}
	module = info.New()
	whole, ok := module.(option.Whole)
	if !ok || json.Unmarshal(raw, module) != nil || whole.CheckWhole() != nil {
		return "", nil
	}
	return name, module
}
