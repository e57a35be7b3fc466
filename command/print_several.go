// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"maps"
	"slices"
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
