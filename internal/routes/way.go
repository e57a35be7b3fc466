// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strings"
)

// Way is a set of requests that reach an upstream.
type Way struct {
	Server    string
	Listen    []string // of the server
	Upstreams []string

	// Guarded says that they have passed a kube_identity.
	Guarded bool

	// Behind is another directive that authenticates, and that they have passed: basic_auth or
	// forward_auth; empty: none. It strips nothing that they say about their sender.
	Behind string

	// Asks says that the upstream is only asked about the request, as by forward_auth.
	Asks bool

	// OnError says that routes for errors or for answers forward them.
	OnError bool

	found bool // the upstream is found by its name
	when  when
	of    state
}

// Serves says whether requests to a host may take the way.
func (w *Way) Serves(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, some := w.of.and(condition{sets: [][]matcher{{{name: "host", values: []string{strings.ToLower(host)}}}}})
	return some
}

// hosts are those of the outermost matcher of hosts.
func (w *Way) hosts() []string {
	var hosts []string
	for _, c := range w.of.conditions {
		for _, set := range c.sets {
			for _, m := range set {
				if m.name == "host" && !c.negated {
					hosts = append(hosts, m.values...)
				}
			}
		}
		if len(hosts) > 0 {
			break
		}
	}
	return hosts
}

// Requests says which requests take the way.
func (w *Way) Requests() string {
	text := "requests"
	switch w.when {
	case always:
	case onError:
		text = "requests that end with an error"
	case onAnswer:
		text = "requests whose answer is intercepted"
	}
	if hosts := w.hosts(); len(hosts) > 0 {
		text += " to " + strings.Join(hosts, ", ")
	}
	var with, without []string
	for _, c := range w.of.conditions {
		if !c.negated {
			with = append(with, c.words())
			continue
		}
		for _, inner := range c.positive() { // what is not outside of it is inside
			with = append(with, (&condition{sets: inner}).words())
		}
		if c.meets(w.of.cases) {
			without = append(without, c.words())
		}
	}
	if with = compact(with); len(with) > 0 {
		text += " for " + strings.Join(with, " and ")
	}
	if without = compact(without); len(without) > 0 {
		text += ", except for " + strings.Join(without, " or ")
	}
	if w.Behind != "" {
		text += ", behind " + w.Behind
	}
	return text
}

// compact leaves out what says nothing, or nothing new.
func compact(all []string) []string {
	var some []string
	for _, words := range all {
		if words != "" && !slices.Contains(some, words) {
			some = append(some, words)
		}
	}
	return some
}

// words are those of the matchers other than hosts.
func (c *condition) words() string {
	var sets []string
	for _, set := range c.sets {
		if words := wordsOf(set); words != "" && (!c.negated || !isNot(set)) { // "not not" is said in another place
			sets = append(sets, words)
		}
	}
	return strings.Join(sets, " or ")
}

func wordsOf(set []matcher) string {
	var words []string
	for _, m := range set {
		switch text := strings.Join(m.values, ", "); {
		case m.name == "host":
		case m.name == "path" && text != "":
			words = append(words, short(text))
		case m.name == "not":
			inner := condition{sets: m.inner}
			words = append(words, "not "+inner.words())
		case m.name == "header" || m.name == "header_regexp" || m.name == "query":
			words = append(words, m.name+" "+short(strings.Join(m.fields(), ", ")))
		default:
			words = append(words, m.name+" "+short(cmp.Or(text, m.raw)))
		}
	}
	return strings.Join(words, " with ")
}

// fields are those that a matcher of fields names. Their values may be secrets.
func (m *matcher) fields() []string {
	var values map[string]json.RawMessage
	_ = json.Unmarshal([]byte(m.raw), &values) // Caddy says what is wrong when it loads it
	return slices.Sorted(maps.Keys(values))
}
