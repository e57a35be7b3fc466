// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// words maps each word of the block to its parser: options, inject, and the sources of this binary.
// inject and the sources may be repeated. The presets that are injected are added to presets.
func (h *Handler) words(presets *[]*injectors.Preset) (words option.Options, repeatable []string) {
	words, repeatable = h.options(), []string{"inject"}
	for _, module := range caddy.GetModules(guest.Sources) {
		if name := module.ID.Name(); words[name] == nil {
			words[name], repeatable = h.parseSource, append(repeatable, name)
		}
	}
	for _, name := range injectors.Names() {
		if words[name] == nil { // a third party's source may have the name of an injector
			words[name] = withoutInject
		}
	}
	words["inject"] = func(d *caddyfile.Dispenser) error {
		preset, err := h.parseInject(d)
		if preset != nil {
			*presets = append(*presets, preset)
		}
		return err
	}
	return words, repeatable
}

func (h *Handler) parseSource(d *caddyfile.Dispenser) error {
	raw, err := option.Guest(d, guest.Sources, "source", "subdirective")
	h.SourcesRaw = append(h.SourcesRaw, raw)
	return err
}

// withoutInject is the parser for the name of an injector or preset that does not follow inject.
func withoutInject(d *caddyfile.Dispenser) error {
	return d.Errf("unrecognized subdirective '%[1]s': write 'inject %[1]s'", d.Val())
}

// checkIPSource refuses the value of an IP source in place of the source's name.
func checkIPSource(word string) error {
	_, notAddr := netip.ParseAddr(word)
	addrPort, notPort := netip.ParseAddrPort(word)
	prefix, notPrefix := netip.ParsePrefix(word)
	namespace, service, found := strings.Cut(word, "/")
	switch {
	case notPrefix == nil && prefix.Bits() == 0:
		return fmt.Errorf("unrecognized ip source '%s': any peer could say who the user is: "+
			"write 'trusted_proxies static <range>' with the addresses of your proxies", word)
	case word == "private_ranges":
		return fmt.Errorf("unrecognized ip source '%s': any pod of a cluster could say who the user is: "+
			"write 'trusted_proxies static <range>' with the addresses of your proxies", word)
	case word == "unix":
		return fmt.Errorf("unrecognized ip source '%s': write 'trusted_proxies_unix' for the peers of a Unix socket", word)
	case notPort == nil:
		return fmt.Errorf("unrecognized ip source '%s': write 'trusted_proxies static %s', without a port", word, addrPort.Addr())
	case notAddr == nil, notPrefix == nil:
		return fmt.Errorf("unrecognized ip source '%[1]s': write 'trusted_proxies static %[1]s'", word)
	case found && namespace != "" && service != "":
		return fmt.Errorf("unrecognized ip source '%[1]s': write 'trusted_proxies kubernetes_service %[1]s' for the Service of a proxy, "+
			"or 'trusted_proxies static <range>'", word)
	case strings.Contains(word, "."):
		return fmt.Errorf("unrecognized ip source '%s': a name is not an address: write 'trusted_proxies static <range>'", word)
	}
	return nil
}

// checkStatic refuses ranges of the IP source static in the line where they are.
func checkStatic(d *caddyfile.Dispenser) error {
	if d.Val() != "static" {
		return nil
	}
	read := 0
	defer func() {
		for range read {
			d.Prev()
		}
	}()
	for d.NextArg() {
		read++
		if err := option.CheckRange(d.Val()); err != nil {
			return d.Errf("parsing trusted_proxies static: %v", err)
		}
	}
	return nil
}

// checkPattern says what to write in place of a pattern that is not one.
func checkPattern(pattern string) error {
	err := identity.CheckPattern(pattern)
	switch {
	case err == nil || !strings.HasPrefix(pattern, "*"):
		return err
	case pattern == "*":
		return fmt.Errorf("%w: remove it, or write a prefix such as team-*", err)
	}
	return fmt.Errorf("%w: write the whole names, or a group that all of them have", err)
}

const injectForms = "write 'inject token', 'inject impersonation', 'inject headers', 'inject front_proxy' or 'inject <preset>'"

// unknownInjector is the error for the word after inject.
func unknownInjector(d *caddyfile.Dispenser) error {
	name := d.Val()
	if _, err := caddy.GetModule(guest.Sources + "." + name); err == nil {
		return d.Errf("unrecognized injector '%[1]s': it is a source: write '%[1]s' without 'inject'", name)
	}
	if near := option.Nearest(name, injectors.Names()); near != nil {
		return d.Errf("unrecognized injector '%s': did you mean %s?", name, option.Quoted(near))
	}
	return d.Errf("unrecognized injector '%s': %s; the manual has the table of presets for upstreams", name, injectForms)
}
