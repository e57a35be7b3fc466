// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// earlier explains each kube_identity that the request passed before the one that decided. The
// server refuses such a request, and here is why its fields are as the last one sees them.
func (p *printer) earlier(k *walk) {
	last := len(k.reports) - 1
	for n, report := range k.reports[:last] {
		p.nth(n, k)
		p.peer(report)
		p.stripped(report)
		p.sources(report)
		p.section("passed on to the next kube_identity")
		next := k.reports[n+1]
		for _, name := range slices.Sorted(maps.Keys(next.Before)) {
			whose := map[bool]string{true: "injected", false: "as it came"}[slices.Contains(next.injected, name)]
			for _, value := range next.Before[name] {
				p.line("  %s: %s (%s)", name, report.shown(name, value), whose)
			}
		}
	}
	if last > 0 {
		p.nth(last, k)
	}
}

// nth begins the explanation of one of several.
func (p *printer) nth(n int, k *walk) {
	p.line("\n%s", p.in(heading, "kube_identity "+ordinal(n, len(k.reports))+": "+k.reports[n].Title))
}

// beside lists the ways around kube_identity.
func (p *printer) beside(beside *routes.Beside) {
	if len(beside.Same) > 0 {
		p.line("\n%s", p.in(care, "unguarded: an upstream of this site is also reached without a kube_identity"))
		p.ways(beside.Same)
		p.line("  these requests reach it with whatever they say about their sender: put a kube_identity before them, too")
	}
	if len(beside.Others) > 0 {
		p.section("other upstreams of this site, without a kube_identity")
		p.ways(beside.Others)
	}
	if len(beside.Elsewhere) > 0 {
		p.line("\n%s", p.in(care, "an upstream of this site is guarded by kube_identity elsewhere"))
		p.ways(beside.Elsewhere)
	}
}

func (p *printer) ways(ways []routes.Way) {
	const most = 10
	for n := range ways[:min(most, len(ways))] {
		p.line("  %s: %s", strings.Join(ways[n].Upstreams, ", "), ways[n].Requests())
	}
	if len(ways) > most {
		p.line("  and %d more, which --json has", len(ways)-most)
	}
}
