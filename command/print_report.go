// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func (p *printer) peer(report *Report) {
	p.section("peer")
	not := p.in(care, "is not trusted")
	switch {
	case report.Peer.Trusted:
		p.line("  %s %s to assert a client's identity", report.Peer, p.in(good, "is trusted"))
	case report.PeerErr != nil:
		p.line("  %s %s: %v", report.Peer, not, report.PeerErr)
	case report.NoneTrusted:
		p.line("  %s %s: the configuration trusts no peer (no trusted_proxies)", report.Peer, not)
	default:
		p.line("  %s %s: what it asserts about a client is dropped", report.Peer, not)
		p.trusted(report)
	}
}

// stripped lists the fields that were there before and are not any more, or have less.
func (p *printer) stripped(report *Report) {
	after := report.After
	p.section("stripped")
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
	p.section("sources")
	for n := range report.Sources {
		switch src := &report.Sources[n]; {
		case !src.Asked:
			p.line("  %s: not asked", src.title())
		case errors.Is(src.Err, identity.ErrAbsent):
			p.line("  %s: %v; it reads %s", src.title(), src.Err, reads(src))
		case src.Err != nil:
			p.line("  %s: %s", src.title(), p.in(bad, src.Err.Error()))
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

// identity prints the identity from a source, and the groups that the policy left out.
func (p *printer) identity(report *Report, src *SourceReport) {
	p.line("  %s: user %q", src.title(), src.Said.Username)
	if len(src.Said.Groups) > 0 {
		p.line("    groups %q", src.Said.Groups)
	}
	for _, remark := range src.Remarks {
		p.line("    %s", p.in(care, remark))
	}
	left := slices.DeleteFunc(slices.Clone(src.Said.Groups), func(group string) bool { return slices.Contains(src.ID.Groups, group) })
	if len(left) > 0 {
		p.line("    %s, since allow_groups does not have them: %q; it has %q", p.in(care, "left out"), left, report.AllowGroups)
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
	p.section("logged")
	p.line("  %s: Caddy's logs show the token that is injected, unless these lines are in the global options", strings.Join(report.Logged, ", "))
	for _, line := range guest.LogFilter(report.Logged) {
		p.line("    %s", strings.ReplaceAll(line, "\t", "  "))
	}
}
