// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// besideSite looks for ways around kube_identity. The configuration has been loaded, so it can be read.
func (o *outcome) besideSite(content []byte, server, host string) {
	var config struct {
		Apps struct {
			HTTP json.RawMessage `json:"http"`
		} `json:"apps"`
	}
	err := json.Unmarshal(content, &config)
	var ways []routes.Way
	if err == nil {
		ways, err = routes.Find(config.Apps.HTTP)
	}
	if err != nil {
		o.unsought = err.Error()
	}
	o.server, o.beside = server, routes.BesideSite(ways, server, host)
}

// besides lists the ways around kube_identity.
func (p *printer) besides(o *outcome) {
	beside := &o.beside
	if len(beside.Same) > 0 {
		p.line("\n%s", p.in(care, "unguarded: an upstream of this site is also reached without a kube_identity"))
		p.ways(o.server, beside.Same)
		p.line("  these requests reach it with whatever they say about their sender: put a kube_identity before them, too")
	}
	if len(beside.Unknown) > 0 {
		p.line("\n%s", p.in(care, "unguarded: an upstream that is not known before a request comes, and may be one of this site"))
		p.ways(o.server, beside.Unknown)
	}
	if len(beside.Others) > 0 {
		p.section("other upstreams of this site, without a kube_identity")
		p.ways(o.server, beside.Others)
	}
	if len(beside.Elsewhere) > 0 {
		p.line("\n%s", p.in(care, "an upstream of this site is guarded by kube_identity elsewhere"))
		p.ways(o.server, beside.Elsewhere)
	}
	if o.unsought != "" {
		p.line("\n%s", p.in(care, o.unsought+": ways around kube_identity were not looked for, or not all"))
	}
}

// ways lists ways. Those of another server have its name, since they may read the same otherwise.
func (p *printer) ways(server string, ways []routes.Way) {
	const most = 10
	for n := range ways[:min(most, len(ways))] {
		by := ""
		if ways[n].Server != server {
			by = ", by server " + ways[n].Server + " on " + strings.Join(ways[n].Listen, " ")
		}
		p.line("  %s: %s%s", strings.Join(ways[n].Upstreams, ", "), ways[n].Requests(), by)
	}
	if len(ways) > most {
		p.line("  and %d more, which --json has", len(ways)-most)
	}
}

// answeredWay is a way around kube_identity.
type answeredWay struct {
	Upstreams []string `json:"upstreams"`
	Requests  string   `json:"requests"`
	Guarded   bool     `json:"guarded_here"`               // kube_identity guards another way of this site to it
	Unknown   bool     `json:"unknown_upstream,omitempty"` // which is found out for each request
	Server    string   `json:"server"`
	Listen    []string `json:"listen,omitempty"`
}

// addBeside adds the ways around kube_identity.
func (a *answer) addBeside(o *outcome) {
	for _, kind := range []struct {
		ways             []routes.Way
		guarded, unknown bool
	}{{o.beside.Same, true, false}, {o.beside.Unknown, false, true}, {o.beside.Others, false, false}} {
		for n := range kind.ways {
			way := &kind.ways[n]
			a.Beside = append(a.Beside, answeredWay{way.Upstreams, way.Requests(), kind.guarded, kind.unknown, way.Server, slices.Clone(way.Listen)})
		}
	}
	for n := range o.beside.Elsewhere {
		a.Elsewhere = append(a.Elsewhere, o.beside.Elsewhere[n].Requests())
	}
	a.Unsought = o.unsought
}
